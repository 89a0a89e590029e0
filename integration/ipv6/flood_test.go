//go:build netns

package ipv6

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"net.connman/integration/lab"
)

// A flood is so many advertisements a second for so long.
const (
	floodRate = 10_000
	floodTime = 10 * time.Second
	floodStep = 10 * time.Millisecond // between two handfuls
)

// What a flood may cost, and leave behind.
const (
	floodCPU     = 2 * time.Second
	floodGrowth  = 8 << 10 // KiB
	mostRouters  = 16
	mostPrefixes = 64
	mostSLAAC    = 16
)

// Advertisements in masses change nothing but what a few of them say, and cost
// little: the daemon answers meanwhile, the router that was there before stays
// the first, and what comes after the flood is heard.
func TestFlood(t *testing.T) {
	t.Parallel()
	tests := map[string]func(n uint32) []byte{
		"one router, always another prefix": func(n uint32) []byte { return advertisement(forger(1), alive, strange(n)) },
		"always another router":             func(n uint32) []byte { return advertisement(forger(rand.Uint32()), alive, strange(n)) },
		"4,000 prefixes, forty at a time": func(n uint32) []byte {
			var some [40]netip.Prefix
			for i := range some {
				some[i] = strange(n%100*40 + uint32(i))
			}
			return advertisement(forger(1), alive, some[:]...)
		},
	}
	for name, packet := range tests {
		t.Run(name, func(t *testing.T) { flooded(t, packet) })
	}
}

func flooded(t *testing.T, packet func(uint32) []byte) {
	w := newWorld(t)
	w.dnsmasq(slaacOnly)
	w.start()
	w.waitState("ready")
	w.waitAddress(slaac)
	real := w.linkLocal(w.bridge)
	cpu, memory := w.cpu(), w.rss()

	sent := make(chan int)
	go func() { sent <- w.flood(packet) }()
	answers, slowest := 0, time.Duration(0)
	count := 0
	for count == 0 {
		select {
		case count = <-sent:
		case <-time.After(100 * time.Millisecond):
			asked := time.Now()
			must(t, w.call("/", "net.connman.Manager.GetServices").Err)
			answers, slowest = answers+1, max(slowest, time.Since(asked))
		}
	}
	used, grown := w.cpu()-cpu, w.rss()-memory
	t.Logf("%d advertisements: %v of processor time, %d KiB more; %d calls answered, the slowest in %v",
		count, used, grown, answers, slowest)
	if count < floodRate*int(floodTime/time.Second)/2 {
		t.Errorf("only %d advertisements were sent", count)
	}
	if used > floodCPU || grown > floodGrowth {
		t.Errorf("it cost %v of processor time and %d KiB", used, grown)
	}
	if answers == 0 {
		t.Error("no call was answered meanwhile")
	}

	w.waitState("ready")
	w.waitAddress(slaac)
	if list := w.gateways(); len(list) > mostRouters || len(list) == 0 || list[0] != real {
		t.Errorf("gateways %v, the real one is %v", list, real)
	}
	if list := w.addresses(); len(list) > mostSLAAC {
		t.Errorf("%d addresses", len(list))
	}
	// On-link prefixes, default routes, link-local, multicast.
	routes := strings.Count(w.ip("-6", "route", "show", "dev", "eth0"), "\n")
	if routes > mostRouters+mostPrefixes+2 {
		t.Errorf("%d routes", routes)
	}
	goodbye := advertisement(real, 0)
	must(t, lab.Eventually(patience, func() error {
		w.send(goodbye)
		return lab.Eventually(time.Second, func() error {
			if list := w.gateways(); slices.Contains(list, real) {
				return fmt.Errorf("the router said that it goes, gateways %v", list)
			}
			return nil
		})
	}))
}

// flood sends packets as [world.send] does, very many of them, and returns how
// many.
func (w *world) flood(packet func(n uint32) []byte) (sent int) {
	s := w.sender()
	defer s.close()
	begin := time.Now()
	for passed := time.Duration(0); passed < floodTime; passed = time.Since(begin) {
		for due := int(passed * floodRate / time.Second); sent < due; sent++ {
			s.send(packet(uint32(sent)))
		}
		time.Sleep(floodStep)
	}
	return sent
}

// forger is a router that is none.
func forger(n uint32) netip.Addr {
	a := [16]byte{0xfe, 0x80, 15: 1}
	binary.BigEndian.PutUint32(a[8:], n)
	return netip.AddrFrom16(a)
}

// strange is one of many prefixes that nobody has.
func strange(n uint32) netip.Prefix {
	a := [16]byte{0x20, 0x01, 0x0d, 0xb9}
	binary.BigEndian.PutUint32(a[4:], n)
	return netip.PrefixFrom(netip.AddrFrom16(a), 64)
}

// log is what the daemon wrote.
func (w *world) log() string { return w.read(w.daemon.Log) }

func (w *world) read(path string) string {
	w.t.Helper()
	text, err := os.ReadFile(path)
	must(w.t, err)
	return string(text)
}

// cpu is the processor time that the daemon has used.
func (w *world) cpu() time.Duration {
	text := w.read("/proc/" + strconv.Itoa(w.daemon.Pid()) + "/stat")
	fields := strings.Fields(text[strings.LastIndex(text, ")")+1:])
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// rss is the daemon's resident memory in KiB.
func (w *world) rss() int {
	lines := strings.Split(w.read("/proc/"+strconv.Itoa(w.daemon.Pid())+"/status"), "\n")
	i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, "VmRSS:") })
	kib, err := strconv.Atoi(strings.Fields(lines[i])[1])
	must(w.t, err)
	return kib
}
