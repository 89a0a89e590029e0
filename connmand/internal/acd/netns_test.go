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
	"net.connman/pkg/loop"
)

const insideEnv = "CONNMAN_TEST_INSIDE"

// isolate runs the calling test again in a network namespace of its own and
// reports whether the caller is that run.
func isolate(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideEnv) != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1m")
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("in its namespace: %v", err)
	}
	return false
}

func ip(t *testing.T, args string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", args, err, out)
	}
}

// A kernel at the other end of the wire has one of two addresses.
func TestAgainstKernel(t *testing.T) {
	if !isolate(t) {
		return
	}
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
	ip(t, "link add c0 type veth peer name s0")
	far, err := net.InterfaceByName("s0")
	if err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(peer.Process.Pid)
	ip(t, "link set s0 netns "+pid)
	for _, args := range []string{"addr add 10.9.0.1/24 dev s0", "link set s0 up"} {
		if out, err := exec.Command("nsenter", append([]string{"-n", "-t", pid, "ip"}, strings.Fields(args)...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	ip(t, "link set c0 up")
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
	l.Post("watch", func() {
		d := New(l, log)
		link := core.Link{Index: near.Index, Name: "c0", Addr: core.HardwareAddr(near.HardwareAddr)}
		d.Watch(link, netip.MustParseAddr("10.9.0.1"), func(e core.ConflictEvent) { used <- e })
		d.Watch(link, netip.MustParseAddr("10.9.0.2"), func(e core.ConflictEvent) { unused <- e })
	})
	deadline := time.After(20 * time.Second)
	for range 2 {
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
		case <-deadline:
			t.Fatal("no report")
		}
	}
}
