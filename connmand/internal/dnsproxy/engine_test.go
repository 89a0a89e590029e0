package dnsproxy

import (
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/miekg/dns"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an engine whose rounds, clock and packets are the test's.
type rig struct {
	t    testing.TB
	e    *engine
	l    *listener
	port byte
}

// The servers of a rig. Nobody listens there, and nothing is sent.
var (
	serverA = netip.MustParseAddrPort("127.0.0.1:1")
	serverB = netip.MustParseAddrPort("127.0.0.1:2")
	serverC = netip.MustParseAddrPort("127.0.0.1:3")
)

func newRig(t testing.TB, c Config) *rig {
	t.Helper()
	var epochs uint32
	e, err := newEngine(slog.New(slog.DiscardHandler), noRelay{}, newPlan(c, nil, &epochs))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.asks.n, e.replies.n = 0, 0
		e.release()
		unix.Close(e.wake)
	})
	return &rig{t: t, e: e, l: &listener{}}
}

func (r *rig) set(c Config, epochs *uint32) { r.e.configure(newPlan(c, r.e.plan, epochs)) }

// oneServer is the configuration of most tests.
func oneServer() Config { return Config{Scopes: []Scope{{Servers: []netip.AddrPort{serverA}}}} }

// pass lets time pass, and does what is due then.
func (r *rig) pass(d time.Duration) {
	for end := r.e.now + d; r.e.now < end; {
		r.e.now = min(end, max(r.e.due, r.e.now+1))
		r.e.round++
		if r.e.now >= r.e.due {
			r.e.tick()
		}
	}
}

// answers returns what was said to clients since the last call.
func (r *rig) answers() (all []*dns.Msg) {
	r.t.Helper()
	return unpack(r.t, &r.e.replies)
}

func unpack(t testing.TB, b *outbox) (all []*dns.Msg) {
	t.Helper()
	for i := range b.n {
		m := new(dns.Msg)
		raw := unsafeBytes(&b.iovs[i])
		if err := m.Unpack(raw); err != nil {
			t.Fatalf("cannot read %x: %v", raw, err)
		}
		all = append(all, m)
	}
	b.n, b.used = 0, 0
	return all
}

// asking is a question on its way to a server.
type asking struct {
	*dns.Msg
	s *socket
}

func (a asking) to() netip.AddrPort { return a.s.u.addr }

// asked returns what servers were asked since the last call.
func (r *rig) asked() (all []asking) {
	r.t.Helper()
	fds := r.e.asks.fds
	for i, m := range unpack(r.t, &r.e.asks) {
		all = append(all, asking{m, r.e.slots[fds[i]].handler.(*socket)})
	}
	return all
}

// reply has the server say m.
func (r *rig) reply(a asking, m *dns.Msg) {
	r.t.Helper()
	raw, err := m.Pack()
	if err != nil {
		r.t.Fatal(err)
	}
	r.replyRaw(a, raw)
}

func (r *rig) replyRaw(a asking, raw []byte) {
	a.s.take(r.e, raw)
}

// ask has a client ask, each time another one.
func (r *rig) ask(m *dns.Msg) {
	r.t.Helper()
	raw, err := m.Pack()
	if err != nil {
		r.t.Fatal(err)
	}
	r.askRaw(raw)
}

func (r *rig) askRaw(raw []byte) {
	r.port++
	r.e.flights.recycle()
	r.e.round++
	r.e.serve(client{udp: r.l, addr: r.source(r.port)}, slices.Clone(raw))
}

// source is a client's address.
func (r *rig) source(port byte) *sockaddr {
	return &sockaddr{unix.AF_INET, 0, 200, port, 127, 0, 0, 1}
}

// one is the only element.
func one[T any](t testing.TB, all []T) T {
	t.Helper()
	if len(all) != 1 {
		t.Fatalf("%d instead of one: %v", len(all), all)
	}
	return all[0]
}

func none[T any](t testing.TB, all []T) {
	t.Helper()
	if len(all) != 0 {
		t.Fatalf("%d too many: %v", len(all), all)
	}
}

func question(name string) *dns.Msg { return new(dns.Msg).SetQuestion(name, dns.TypeA) }

// answer is a reply with the records, those after "" in the authority section.
func answer(t testing.TB, q *dns.Msg, records ...string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetReply(q)
	section := &m.Answer
	for _, s := range records {
		if s == "" {
			section = &m.Ns
			continue
		}
		*section = append(*section, rr(t, s))
	}
	return m
}

// TestEngineWithoutDescriptors: an engine that cannot be made leaves nothing open.
func TestEngineWithoutDescriptors(t *testing.T) {
	open := func() int {
		t.Helper()
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds) - 1 // that of the directory
	}
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
	first, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 0) // the lowest that is free
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(first)
	was := open()
	for more := range 3 {
		var epochs uint32
		limit := unix.Rlimit{Cur: uint64(first + more), Max: before.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			t.Fatal(err)
		}
		e, err := newEngine(slog.New(slog.DiscardHandler), noRelay{}, newPlan(Config{}, nil, &epochs))
		unix.Setrlimit(unix.RLIMIT_NOFILE, &before)
		if err == nil {
			if more < 2 {
				t.Errorf("made with %d descriptors", more)
			}
			e.release()
			unix.Close(e.wake)
		}
		if now := open(); now != was {
			t.Errorf("%d descriptors were open and %d are, with %d to be had", was, now, more)
		}
	}
}

func TestTimesToLiveCountDown(t *testing.T) {
	r := newRig(t, oneServer())
	r.ask(question("a.example."))
	a := one(t, r.asked())
	r.reply(a, answer(t, a.Msg, "a.example. 100 IN CNAME b.example.", "b.example. 60 IN A 192.0.2.1"))
	if m := one(t, r.answers()); m.Answer[0].Header().Ttl != 100 {
		t.Errorf("fresh: %v", m)
	}
	r.pass(50*time.Second + time.Millisecond)
	r.ask(question("a.example."))
	m := one(t, r.answers())
	if m.Answer[0].Header().Ttl != 50 || m.Answer[1].Header().Ttl != 10 {
		t.Errorf("after 50 s: %v", m)
	}
	r.pass(10 * time.Second)
	none(t, r.asked())
	r.ask(question("a.example."))
	none(t, r.answers())
	one(t, r.asked())
}

func TestTimesToLiveAreClamped(t *testing.T) {
	c := oneServer()
	c.MinTTL, c.MaxTTL = 30*time.Second, 100*time.Second
	for _, tt := range []struct{ ttl, want string }{{"0", "30"}, {"50", "50"}, {"4000000", "100"}, {"4294967295", "30"}} {
		r := newRig(t, c)
		r.ask(question("a.example."))
		a := one(t, r.asked())
		r.reply(a, answer(t, a.Msg, "a.example. "+tt.ttl+" IN A 192.0.2.1"))
		r.answers()
		r.ask(question("a.example."))
		if m := one(t, r.answers()); m.Answer[0].String() != rr(t, "a.example. "+tt.want+" IN A 192.0.2.1").String() {
			t.Errorf("%s s: %v", tt.ttl, m)
		}
	}
}

func TestWhatIsKept(t *testing.T) {
	const soa = "example. 900 IN SOA ns.example. root.example. 1 1 1 1 60"
	for name, tt := range map[string]struct {
		rcode   int
		records []string
		tweak   func(*dns.Msg)
		seconds int // that it is kept; 0 not at all
	}{
		"address":               {records: []string{"a.example. 300 IN A 192.0.2.1"}, seconds: 300},
		"alias":                 {records: []string{"a.example. 300 IN CNAME b.test.", "b.test. 20 IN A 192.0.2.1"}, seconds: 20},
		"other letter case":     {records: []string{"A.eXample. 300 IN A 192.0.2.1"}, seconds: 300},
		"no such name":          {rcode: dns.RcodeNameError, records: []string{"", soa}, seconds: 60},
		"no such type":          {records: []string{"", soa}, seconds: 60},
		"zone of short life":    {rcode: dns.RcodeNameError, records: []string{"", "example. 5 IN SOA ns.example. root.example. 1 1 1 1 60"}, seconds: 5},
		"alias to nothing":      {rcode: dns.RcodeNameError, records: []string{"a.example. 300 IN CNAME b.example.", "", soa}, seconds: 60},
		"no zone":               {rcode: dns.RcodeNameError},
		"referral":              {records: []string{"", "example. 900 IN NS ns.example."}},
		"another zone":          {rcode: dns.RcodeNameError, records: []string{"", "test. 900 IN SOA ns.test. root.test. 1 1 1 1 60"}},
		"no time to live":       {records: []string{"a.example. 0 IN A 192.0.2.1"}},
		"negative time to live": {records: []string{"a.example. 2147483648 IN A 192.0.2.1"}},
		"a year without a name": {rcode: dns.RcodeNameError, records: []string{"", "example. 30000000 IN SOA ns.example. root.example. 1 1 1 1 30000000"}, seconds: maxNegativeTTL},
		"signature": {records: []string{"a.example. 300 IN A 192.0.2.1",
			"a.example. 300 IN RRSIG A 8 2 300 20300101000000 20200101000000 1 example. AAAA"}, seconds: 300},
		"alias of a domain": {records: []string{"example. 300 IN DNAME test.", "a.example. 300 IN CNAME a.test.", "a.test. 300 IN A 192.0.2.1"}, seconds: 300},
		"signed":            {records: []string{"a.example. 300 IN A 192.0.2.1"}, tweak: func(m *dns.Msg) { m.SetTsig("k.", dns.HmacSHA256, 300, 1) }},
		"OPT in the midst": {records: []string{"a.example. 300 IN A 192.0.2.1"}, tweak: func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.Extra = append(m.Extra, rr(t, "b.example. 300 IN A 192.0.2.2"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, oneServer())
			r.ask(question("a.example."))
			a := one(t, r.asked())
			m := answer(t, a.Msg, tt.records...)
			m.Rcode = tt.rcode
			if tt.tweak != nil {
				tt.tweak(m)
			}
			r.reply(a, m)
			if got := one(t, r.answers()); got.Rcode != tt.rcode {
				t.Fatalf("%v", got)
			}
			if tt.seconds > 0 {
				r.pass(time.Duration(tt.seconds)*time.Second - 1)
				r.ask(question("a.example."))
				if got := one(t, r.answers()); got.Rcode != tt.rcode || len(got.Answer) != len(m.Answer) || len(got.Ns) != len(m.Ns) {
					t.Errorf("from the cache: %v", got)
				}
				r.asked()
				r.pass(1)
			}
			r.e.flights.byHash = map[uint64]*flight{} // a prefetch is no matter here
			r.ask(question("a.example."))
			none(t, r.answers())
			one(t, r.asked())
		})
	}
}

// TestAnswersAboutOthers: nothing about another name than the one asked for
// may come in by an answer.
func TestAnswersAboutOthers(t *testing.T) {
	for name, records := range map[string][]string{
		"only another":              {"b.example. 300 IN A 192.0.2.9"},
		"another behind":            {"a.example. 300 IN A 192.0.2.1", "b.example. 300 IN A 192.0.2.9"},
		"another before":            {"b.example. 300 IN A 192.0.2.9", "a.example. 300 IN A 192.0.2.1"},
		"beside the alias":          {"a.example. 300 IN CNAME c.example.", "b.example. 300 IN A 192.0.2.9"},
		"above":                     {"a.example. 300 IN A 192.0.2.1", "example. 300 IN NS ns.test."},
		"another's alias":           {"b.example. 300 IN CNAME a.example.", "a.example. 300 IN A 192.0.2.1"},
		"two aliases":               {"a.example. 300 IN CNAME b.example.", "a.example. 300 IN CNAME c.example.", "c.example. 300 IN A 192.0.2.9"},
		"alias of a strange domain": {"test. 300 IN DNAME example.", "a.example. 300 IN A 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, oneServer())
			r.ask(question("a.example."))
			a := one(t, r.asked())
			r.reply(a, answer(t, a.Msg, records...))
			if m := one(t, r.answers()); m.Rcode != dns.RcodeServerFailure || len(m.Answer) > 0 {
				t.Errorf("%v", m)
			}
			r.pass(failureTTL * time.Second) // all that is kept is that it failed
			for i, name := range []string{"a.example.", "b.example.", "c.example."} {
				r.ask(question(name))
				if n := len(r.asked()); n != 1 {
					t.Errorf("question %d is answered from the cache", i)
				}
			}
		})
	}
}

// TestRepliesThatDoNotMatch: what an attacker can send without knowing the
// question changes nothing; the answer is still awaited.
func TestRepliesThatDoNotMatch(t *testing.T) {
	c := oneServer()
	c.Randomize0x20 = true
	r := newRig(t, c)
	r.ask(question("www.example.com."))
	a := one(t, r.asked())
	if strings.ToLower(a.Question[0].Name) != "www.example.com." {
		t.Fatalf("asked for %q", a.Question[0].Name)
	}
	good := answer(t, a.Msg, "www.example.com. 300 IN A 192.0.2.1")
	for name, spoil := range map[string]func(m *dns.Msg){
		"id":          func(m *dns.Msg) { m.Id++ },
		"no reply":    func(m *dns.Msg) { m.Response = false },
		"operation":   func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify },
		"name":        func(m *dns.Msg) { m.Question[0].Name = "wwx.example.com." },
		"longer name": func(m *dns.Msg) { m.Question[0].Name = "www.example.com.com." },
		"letter case": func(m *dns.Msg) { m.Question[0].Name = swapCase(m.Question[0].Name) },
		"type":        func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA },
		"class":       func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"no question": func(m *dns.Msg) { m.Question = nil },
		"two":         func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
	} {
		m := good.Copy()
		m.Answer[0].(*dns.A).A[3] = 66
		spoil(m)
		r.reply(a, m)
		if got := r.answers(); len(got) > 0 || r.e.cache.names > 0 {
			t.Fatalf("another %s: %v", name, got)
		}
	}
	r.replyRaw(a, []byte{byte(a.Id >> 8), byte(a.Id), 0x80})
	none(t, r.answers())
	r.reply(a, good)
	if m := one(t, r.answers()); len(m.Answer) != 1 || m.Question[0].Name != "www.example.com." {
		t.Errorf("%v", m)
	}
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			return c ^ 0x20
		}
		return c
	}, s)
}

// TestServersAreRandom: over many questions, ids, ports and letters take all
// kinds of values.
func TestServersAreRandom(t *testing.T) {
	c := oneServer()
	c.Randomize0x20 = true
	r := newRig(t, c)
	ids, ports, names := map[uint16]bool{}, map[int]bool{}, map[string]bool{}
	for i := range 200 {
		r.ask(question("abcdefghijklmnop.x" + hex.EncodeToString([]byte{byte(i)}) + "."))
		a := one(t, r.asked())
		ids[a.Id] = true
		names[a.Question[0].Name[:16]] = true
		sa, err := unix.Getsockname(a.s.fd)
		if err != nil {
			t.Fatal(err)
		}
		ports[sa.(*unix.SockaddrInet4).Port] = true
		r.reply(a, answer(t, a.Msg))
		r.pass(time.Second)
	}
	if len(ids) < 190 || len(names) < 180 || len(ports) < 60 {
		t.Errorf("%d ids, %d spellings, %d ports", len(ids), len(names), len(ports))
	}
}

func TestSameQuestionIsAskedOnce(t *testing.T) {
	r := newRig(t, oneServer())
	first := question("www.example.com.")
	first.SetEdns0(1232, false)
	first.IsEdns0().Option = append(first.IsEdns0().Option, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"})
	r.ask(first)
	second := question("WWW.example.COM.")
	r.ask(second)
	third := question("www.EXAMPLE.com.")
	third.SetEdns0(4096, false)
	r.ask(third)
	a := one(t, r.asked())
	if len(a.IsEdns0().Option) != 1 {
		t.Errorf("the server sees %v", a.Msg)
	}
	m := answer(t, a.Msg, "www.example.com. 300 IN A 192.0.2.1")
	m.Extra = append(m.Extra, a.IsEdns0())
	r.reply(a, m)
	got := r.answers()
	if len(got) != 3 {
		t.Fatalf("%v", got)
	}
	for i, q := range []*dns.Msg{first, second, third} {
		if got[i].Id != q.Id || got[i].Question[0].Name != q.Question[0].Name || len(got[i].Answer) != 1 {
			t.Errorf("to %v: %v", q, got[i])
		}
	}
	if o := got[0].IsEdns0(); o == nil || len(o.Option) != 1 {
		t.Errorf("the first one's cookie is lost: %v", got[0])
	}
	if got[1].IsEdns0() != nil {
		t.Errorf("EDNS to one who has not got it: %v", got[1])
	}
	if o := got[2].IsEdns0(); o == nil || len(o.Option) != 0 {
		t.Errorf("another's cookie: %v", got[2])
	}
}

// TestWhatTellsQuestionsApart: an answer serves only who would get the same.
func TestWhatTellsQuestionsApart(t *testing.T) {
	for name, change := range map[string]func(m *dns.Msg){
		"type":              func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAAAA },
		"class":             func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
		"DNSSEC wanted":     func(m *dns.Msg) { m.SetEdns0(1232, true) },
		"checking disabled": func(m *dns.Msg) { m.CheckingDisabled = true },
		"no recursion":      func(m *dns.Msg) { m.RecursionDesired = false },
		"AD":                func(m *dns.Msg) { m.AuthenticatedData = true },
		"client's subnet": func(m *dns.Msg) {
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: []byte{192, 0, 2, 0}})
		},
		"EDNS of tomorrow": func(m *dns.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) },
		"signature":        func(m *dns.Msg) { m.SetTsig("k.", dns.HmacSHA256, 300, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, oneServer())
			r.ask(question("a.example."))
			a := one(t, r.asked())
			other := question("a.example.")
			change(other)
			r.ask(other)
			one(t, r.asked())
			r.reply(a, answer(t, a.Msg, "a.example. 300 IN A 192.0.2.1"))
			one(t, r.answers())
			r.ask(question("a.example."))
			one(t, r.answers())
			other.Id++
			r.ask(other)
			none(t, r.answers())
		})
	}
}

func TestTruncation(t *testing.T) {
	r := newRig(t, oneServer())
	var records []string
	for i := range 60 {
		records = append(records, fmt.Sprintf("a.example. 300 IN A 192.0.2.%d", i))
	}
	long := question("a.example.")
	long.SetEdns0(4096, false)
	r.ask(long)
	a := one(t, r.asked())
	r.reply(a, answer(t, a.Msg, records[1:]...))
	if m := one(t, r.answers()); m.Truncated || len(m.Answer) != 59 {
		t.Fatalf("%v", m)
	}
	r.ask(question("a.example."))
	if m := one(t, r.answers()); !m.Truncated || len(m.Answer) != 0 || m.Question[0].Name != "a.example." || m.Len() > 512 {
		t.Errorf("to a short buffer: %v", m)
	}
	long.IsEdns0().SetUDPSize(700)
	r.ask(long)
	if m := one(t, r.answers()); !m.Truncated || m.IsEdns0() == nil {
		t.Errorf("to 700 bytes: %v", m)
	}
	long.IsEdns0().SetUDPSize(2000)
	r.ask(long)
	if m := one(t, r.answers()); m.Truncated || len(m.Answer) != 59 {
		t.Errorf("to 2000 bytes: %v", m)
	}
}

// unsafeBytes is what an iovec holds.
func unsafeBytes(v *unix.Iovec) []byte { return unsafe.Slice(v.Base, v.Len) }
