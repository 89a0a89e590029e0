package dnsproxy

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

func TestParseQuery(t *testing.T) {
	type change func(m *dns.Msg)
	for name, tt := range map[string]struct {
		change change
		cut    int // bytes taken off the end
		more   int // bytes added
		want   verdict
	}{
		"plain":             {want: serve},
		"EDNS":              {change: func(m *dns.Msg) { m.SetEdns0(1232, true) }, want: serve},
		"reply":             {change: func(m *dns.Msg) { m.Response = true }, want: ignore},
		"update":            {change: func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, want: otherOp},
		"transfer":          {change: func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }, want: otherOp},
		"no question":       {change: func(m *dns.Msg) { m.Question = nil }, want: badQuery},
		"two questions":     {change: func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) }, want: badQuery},
		"an answer":         {change: func(m *dns.Msg) { m.Answer = []dns.RR{&dns.A{Hdr: dns.RR_Header{Name: ".", Rrtype: 1, Class: 1}}} }, want: badQuery},
		"EDNS twice":        {change: func(m *dns.Msg) { m.SetEdns0(1232, true); m.SetEdns0(1232, true) }, want: badQuery},
		"EDNS of a name":    {change: func(m *dns.Msg) { m.SetEdns0(1232, true); m.Extra[0].Header().Name = "a." }, want: badQuery},
		"cut off in type":   {cut: 1, want: badQuery},
		"cut off in name":   {cut: 6, want: badQuery},
		"cut off in header": {cut: 30, want: ignore},
		"bytes behind":      {more: 1, want: badQuery},
	} {
		m := question("www.example.com.")
		if tt.change != nil {
			tt.change(m)
		}
		raw, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw[:len(raw)-tt.cut], make([]byte, tt.more)...)
		var q query
		if got := parseQuery(raw, &q); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestNames(t *testing.T) {
	long := strings.Repeat("\x3f"+strings.Repeat("a", 63), 3) // 192 bytes
	for name, tt := range map[string]struct {
		name       string
		plain, any bool
	}{
		"root":              {"\x00", true, true},
		"of 255 bytes":      {long + "\x3d" + strings.Repeat("a", 61) + "\x00", true, true},
		"of 256 bytes":      {long + "\x3e" + strings.Repeat("a", 62) + "\x00", false, false},
		"without end":       {"\x01a", false, false},
		"label cut off":     {"\x05a\x00", false, false},
		"label of 64":       {"\x40" + strings.Repeat("a", 64) + "\x00", false, false},
		"back":              {"\x01a\xc0\x0c", false, true},
		"to itself":         {"\xc0\x10", false, false},
		"to its beginning":  {"\x01a\xc0\x10", false, false},
		"ahead":             {"\xc0\x13\x00\x00", false, false},
		"into the header":   {"\xc0\x0b", false, false},
		"past the end":      {"\xff\xff", false, false},
		"half a pointer":    {"\xc0", false, false},
		"too long by going": {long + "\x3d" + strings.Repeat("a", 61) + "\xc0\x0c", false, false},
	} {
		msg := append(make([]byte, headerLen), "\x01b\x00\x00"...)
		at := len(msg)
		msg = append(msg, tt.name...)
		if end, ok := plainName(msg, at); ok != tt.plain || ok && end != len(msg) {
			t.Errorf("%s: plain %v to %d of %d", name, ok, end, len(msg))
		}
		end, ok := anyName(msg, at)
		if ok != tt.any || ok && end != len(msg) {
			t.Errorf("%s: any %v to %d of %d", name, ok, end, len(msg))
		}
		if ok {
			want, _, err := dns.UnpackDomainName(msg, at)
			got, _, err2 := dns.UnpackDomainName(appendName(nil, msg, at), 0)
			if err != nil || err2 != nil || got != want {
				t.Errorf("%s: %q, want %q (%v, %v)", name, got, want, err, err2)
			}
		}
	}
}

func TestNameComparison(t *testing.T) {
	//                                       12         17       21       24
	msg := append(make([]byte, headerLen), "\x01a\x01b\x00\x01A\xc0\x0e\x01B\x00\x01c\x00"...)
	const ab, aB, b, c, root = 12, 17, 21, 24, 16
	if !sameName(msg, ab, aB) || sameName(msg, ab, b) || sameName(msg, c, b) {
		t.Error("sameName")
	}
	if !below(msg, aB, b) || !below(msg, ab, ab) || !below(msg, ab, root) || below(msg, b, ab) || below(msg, ab, c) {
		t.Error("below")
	}
}

func TestWireName(t *testing.T) {
	for text, want := range map[string]string{
		"":              "\x00",
		".":             "\x00",
		"Example.COM":   "\x07example\x03com\x00",
		"example.com.":  "\x07example\x03com\x00",
		"a..b":          "",
		".a":            "",
		"\xc4\xd6.test": "\x02\xc4\xd6\x04test\x00",

		strings.Repeat("a", 64):         "",
		strings.Repeat("a.", 126) + "a": strings.Repeat("\x01a", 127) + "\x00",
		strings.Repeat("a.", 127) + "a": "",
	} {
		got, ok := wireName(text)
		if ok != (want != "") || ok && !bytes.Equal(got, []byte(want)) {
			t.Errorf("%q: %q, %v", text, got, ok)
		}
	}
}

// TestHostileReplyTakesNoTime: the dearest reply that fits into a message,
// many records about deep names that almost are the one asked for, costs no more
// than a client would notice.
func TestHostileReplyTakesNoTime(t *testing.T) {
	deep := strings.Repeat("a.", 120)
	for name, owner := range map[string]string{"alias": "b." + deep, "signature": "b." + deep, "above": deep[2:]} {
		m := new(dns.Msg).SetQuestion("c."+deep, dns.TypeA)
		m.Response = true
		for i := range 11 {
			from, to := string(rune('c'+i))+"."+deep, string(rune('d'+i))+"."+deep
			m.Answer = append(m.Answer, rr(t, from+" 300 IN CNAME "+to))
		}
		for range 3000 {
			record := owner + " 300 IN A 192.0.2.1"
			if name != "alias" {
				record = owner + " 300 IN RRSIG A 8 2 300 20300101000000 20200101000000 1 . AAAA"
			}
			m.Answer = append(m.Answer, rr(t, record))
		}
		m.Compress = true
		for m.Len() > maxMessage {
			m.Answer = m.Answer[:len(m.Answer)-100]
		}
		raw, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		var r reply
		began := time.Now()
		for range 10 {
			parseReply(raw, &r)
		}
		if d := time.Since(began); d > within {
			t.Errorf("%s: %v for ten times %d records", name, d, len(m.Answer))
		}
	}
}
