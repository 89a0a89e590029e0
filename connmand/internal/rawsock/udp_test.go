package rawsock

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
)

func datagram(payload string) UDP {
	return UDP{
		Source:      netip.MustParseAddrPort("10.0.0.1:67"),
		Destination: netip.MustParseAddrPort("10.0.0.5:68"),
		Payload:     []byte(payload),
	}
}

// reseal makes the header's checksum right again.
func reseal(b []byte) {
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], checksum(0, b[:ipHeader]))
}

func TestUDPRoundTrip(t *testing.T) {
	for _, payload := range []string{"", "a", "ab", "abc", "\xff\xff\xff"} {
		want := datagram(payload)
		b := append(AppendUDP(nil, want), "padding"...)
		got, err := ParseUDP(Packet{Data: b})
		if err != nil || got.Source != want.Source || got.Destination != want.Destination || string(got.Payload) != payload {
			t.Errorf("%q: %+v, %v", payload, got, err)
		}
	}
}

func TestUDPWithOptions(t *testing.T) {
	b := AppendUDP(nil, datagram("hello"))
	b = append(append(bytes.Clone(b[:ipHeader]), 1, 1, 1, 0), b[ipHeader:]...)
	b[0] = 0x46
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], checksum(0, b[:24]))
	if u, err := ParseUDP(Packet{Data: b}); err != nil || string(u.Payload) != "hello" {
		t.Errorf("%+v, %v", u, err)
	}
}

// The shapes of CVE-2023-28488 and their neighbours.
func TestUDPRefuses(t *testing.T) {
	put := binary.BigEndian.PutUint16
	total := func(v int) func(b []byte) { return func(b []byte) { put(b[2:], uint16(v)); reseal(b) } }
	length := func(v int) func(b []byte) { return func(b []byte) { put(b[24:], uint16(v)); b[26], b[27] = 0, 0 } }
	for name, change := range map[string]func(b []byte){
		"total length 0":            total(0),
		"total length 1":            total(1),
		"total length 27":           total(27),
		"total length beyond frame": total(34),
		"total length 65535":        total(0xffff),
		"UDP length 0xffec":         length(0xffec),
		"UDP length 0":              length(0),
		"UDP length 7":              length(7),
		"UDP length beyond packet":  length(14),
		"version 6":                 func(b []byte) { b[0] = 0x65; reseal(b) },
		"header of 16 bytes":        func(b []byte) { b[0] = 0x44; reseal(b) },
		"header of 60 bytes":        func(b []byte) { b[0] = 0x4f },
		"TCP":                       func(b []byte) { b[9] = 6; reseal(b) },
		"first fragment":            func(b []byte) { b[6] = 0x20; reseal(b) },
		"later fragment":            func(b []byte) { b[7] = 1; reseal(b) },
		"IP checksum":               func(b []byte) { b[10] ^= 1 },
		"UDP checksum":              func(b []byte) { b[26] ^= 1 },
		"payload":                   func(b []byte) { b[28] ^= 1 },
		"source":                    func(b []byte) { b[15] ^= 1; reseal(b) },
	} {
		b := AppendUDP(nil, datagram("hello"))
		change(b)
		if u, err := ParseUDP(Packet{Data: b}); err == nil {
			t.Errorf("%s: accepted as %+v", name, u)
		}
	}
	b := AppendUDP(nil, datagram("hello"))
	for n := range b {
		if _, err := ParseUDP(Packet{Data: b[:n]}); err == nil {
			t.Errorf("accepted when cut to %d bytes", n)
		}
	}
}

func TestUDPChecksumAbsentOrPartial(t *testing.T) {
	b := AppendUDP(nil, datagram("hello"))
	b[26] ^= 0x55
	if _, err := ParseUDP(Packet{Data: b, PartialChecksum: true}); err != nil {
		t.Errorf("partial checksum: %v", err)
	}
	b[26], b[27] = 0, 0
	if _, err := ParseUDP(Packet{Data: b}); err != nil {
		t.Errorf("no checksum: %v", err)
	}
}

func TestUDPFilter(t *testing.T) {
	vm, err := bpf.NewVM(UDPFilter(68))
	if err != nil {
		t.Fatal(err)
	}
	withOptions := AppendUDP(nil, datagram("hello"))
	withOptions = append(append(bytes.Clone(withOptions[:ipHeader]), 1, 1, 1, 0), withOptions[ipHeader:]...)
	withOptions[0] = 0x46
	for _, c := range []struct {
		name   string
		change func(b []byte) []byte
		want   bool
	}{
		{"ours", func(b []byte) []byte { return b }, true},
		{"with IP options", func([]byte) []byte { return withOptions }, true},
		{"do not fragment", func(b []byte) []byte { b[6] = 0x40; return b }, true},
		{"other port", func(b []byte) []byte { b[23] = 67; return b }, false},
		{"TCP", func(b []byte) []byte { b[9] = 6; return b }, false},
		{"first fragment", func(b []byte) []byte { b[6] = 0x20; return b }, false},
		{"later fragment", func(b []byte) []byte { b[7] = 8; return b }, false},
		{"cut", func(b []byte) []byte { return b[:ipHeader] }, false},
	} {
		n, err := vm.Run(c.change(AppendUDP(nil, datagram("hello"))))
		if err != nil || (n > 0) != c.want {
			t.Errorf("%s: passes %d, %v", c.name, n, err)
		}
	}
}

func FuzzParseUDP(f *testing.F) {
	f.Add(AppendUDP(nil, datagram("hello")), false)
	f.Add(AppendUDP(nil, datagram("hello"))[:25], true)
	f.Fuzz(func(t *testing.T, b []byte, partial bool) {
		u, err := ParseUDP(Packet{Data: b, PartialChecksum: partial})
		if err != nil {
			return
		}
		again, err := ParseUDP(Packet{Data: AppendUDP(nil, u)})
		if err != nil || again.Source != u.Source || again.Destination != u.Destination || !bytes.Equal(again.Payload, u.Payload) {
			t.Fatalf("%+v became %+v, %v", u, again, err)
		}
	})
}
