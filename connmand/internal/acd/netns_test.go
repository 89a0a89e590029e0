//go:build netns

package acd

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel/netnstest"
	"net.connman/pkg/loop"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// A kernel at the other end of the wire has one of two addresses.
func TestAgainstKernel(t *testing.T) {
	peer := exec.Command("sh", "-c", "echo ready && read line")
	peer.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := peer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := peer.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); peer.Wait() }()
	out.Read(make([]byte, 8))
	netnstest.IP(t, "link add c0 type veth peer name s0")
	defer netnstest.IP(t, "link del c0")
	far, err := net.InterfaceByName("s0")
	if err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(peer.Process.Pid)
	netnstest.IP(t, "link set s0 netns "+pid)
	for _, args := range []string{"addr add 10.9.0.1/24 dev s0", "link set s0 up"} {
		if out, err := exec.Command("nsenter", append([]string{"-n", "-t", pid, "ip"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	netnstest.IP(t, "link set c0 up")
	near, err := net.InterfaceByName("c0")
	if err != nil {
		t.Fatal(err)
	}

	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	l := loop.New(log)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() { l.Run(ctx); close(gone) }()
	defer func() { cancel(); <-gone; l.Wait() }()
	used, unused := make(chan core.ConflictEvent, 1), make(chan core.ConflictEvent, 1)
	neighbours := make(chan core.HardwareAddr, 2)
	l.Post("watch", func() {
		d := New(l, log)
		link := core.Link{Index: near.Index, Name: "c0", Addr: core.HardwareAddr(near.HardwareAddr)}
		d.Watch(link, netip.MustParseAddr("10.9.0.1"), func(e core.ConflictEvent) { used <- e })
		d.Watch(link, netip.MustParseAddr("10.9.0.2"), func(e core.ConflictEvent) { unused <- e })
		for _, at := range []core.HardwareAddr{"", core.HardwareAddr(far.HardwareAddr)} {
			d.Find(link, netip.MustParseAddr("10.9.0.1"), at, func(a core.HardwareAddr) { neighbours <- a })
		}
	})
	deadline := time.After(20 * time.Second)
	for range 4 {
		select {
		case e := <-used:
			taken, ok := e.(core.AddressTaken)
			if !ok || taken.Conflict.Holder != core.HardwareAddr(far.HardwareAddr) {
				t.Errorf("the address in use: %+v", e)
			}
		case e := <-unused:
			if _, ok := e.(core.AddressFree); !ok {
				t.Errorf("the free address: %+v", e)
			}
		case a := <-neighbours:
			if a != core.HardwareAddr(far.HardwareAddr) {
				t.Errorf("found %x", a)
			}
		case <-deadline:
			t.Fatal("no report")
		}
	}
}
