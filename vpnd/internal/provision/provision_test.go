package provision

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// l2tp is a provider that only has keys.
type l2tp struct{}

func (l2tp) Type() string   { return "l2tp" }
func (l2tp) Missing() error { return errors.New("not here") }

func (l2tp) Keys() []core.Key {
	return []core.Key{{Name: "L2TP.User"}, {Name: "L2TP.Password", Secret: true}, {Name: "L2TP.Port", Check: func(v string) error {
		if v != "1701" {
			return errors.New("is not the port")
		}
		return nil
	}}}
}

func (l2tp) Check(s core.Settings) error {
	if s.Text["L2TP.User"] == "nobody" && s.Text["Host"] != "" {
		return errors.New("nobody cannot connect")
	}
	return nil
}

func (l2tp) Connect(core.Request, func(core.Event)) core.Attempt { panic("not called") }

var providers = []core.Provider{l2tp{}}

// example is that of vpn-config-format.txt, in part.
const example = `[global]
Name = Example
Description = Example VPN configuration

[provider_l2tp]
Type = L2TP
Name = Connection to corporate network
Host = 1.2.3.4
Domain = corporate.com
Networks = 10.10.20.0/255.255.255.0/10.20.1.5,192.168.99.1/24,2001:db8::1/64
L2TP.User = username
L2TP.Password = back\slash
`

var parsed = core.Spec{
	File: "f", Entry: "l2tp", Type: "l2tp", Name: "Connection to corporate network", Host: "1.2.3.4", Domain: "corporate.com",
	Settings: core.Settings{
		Text:    map[string]string{"L2TP.User": "username"},
		Secrets: map[string]logx.Secret{"L2TP.Password": `back\slash`},
		Routes: []core.Route{
			{Dst: netip.MustParsePrefix("10.10.20.0/24"), Gateway: netip.MustParseAddr("10.20.1.5")},
			{Dst: netip.MustParsePrefix("192.168.99.0/24")},
			{Dst: netip.MustParsePrefix("2001:db8::/64")},
		},
	},
}

func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.Comparer(func(x, y netip.Prefix) bool { return x == y }),
		cmp.Comparer(func(x, y netip.Addr) bool { return x == y }), cmp.Comparer(func(x, y logx.Secret) bool { return x == y }))
}

func TestParse(t *testing.T) {
	specs, problems := parser{providers}.parse("f", []byte(example))
	if len(problems) > 0 {
		t.Error(problems)
	}
	if d := diff([]core.Spec{parsed}, specs); d != "" {
		t.Error(d)
	}
}

func TestParseTOML(t *testing.T) {
	specs, problems := parser{providers}.parseTOML("f", []byte(`[provider_l2tp]
Type = "L2TP"
Name = "Connection to corporate network"
Host = "1.2.3.4"
Domain = "corporate.com"
Networks = ["10.10.20.0/255.255.255.0/10.20.1.5", "192.168.99.1/24", "2001:db8::1/64"]
L2TP.User = "username"
L2TP.Password = 'back\slash'
`))
	if len(problems) > 0 {
		t.Error(problems)
	}
	if d := diff([]core.Spec{parsed}, specs); d != "" {
		t.Error(d)
	}
}

// Each mistake is named with its line and key, never with the value. An entry
// with a wrong value is left out; an unknown key changes nothing.
func TestMistakes(t *testing.T) {
	for name, tt := range map[string]struct {
		line  string // instead of Networks
		want  string
		stays bool
	}{
		"unknown key":      {"Netwroks = x", "line 10: [provider_l2tp] Netwroks: unknown key", true},
		"limit":            {"AuthErrorLimit = 3", "", true},
		"split":            {"SplitRouting = true", "", true},
		"not split":        {"SplitRouting = maybe", "line 10: [provider_l2tp] SplitRouting: neither true nor false", false},
		"wrong value":      {"L2TP.Port = s3cret", "line 10: [provider_l2tp] L2TP.Port: is not the port", false},
		"hole":             {"Networks = 10.0.0.0/255.0.255.0", "line 10: [provider_l2tp] Networks: network 1: the netmask has holes", false},
		"no mask":          {"Networks = 10.0.0.0/8, 10.0.0.0", "line 10: [provider_l2tp] Networks: network 2 is not NETWORK/NETMASK", false},
		"mask of IPv4":     {"Networks = 2001:db8::/255.255.0.0", "Networks: network 1: neither a prefix length nor", false},
		"shell":            {"Networks = $(s3cret)/8", "Networks: network 1: the network is not an address", false},
		"10,000 networks":  {"Networks = " + strings.Repeat("10.0.0.0/8,", 10000), "Networks: more than 1000 networks", false},
		"no such type":     {"Type = s3cret", "line 10: [provider_l2tp] Type: none of l2tp", false},
		"no host":          {"Host =", "line 10: [provider_l2tp] Host: is missing", false},
		"bad host":         {"Host = -s3cret", "line 10: [provider_l2tp] Host: not the name or address of a server", false},
		"bad domain":       {"Domain = s3 cret", "line 10: [provider_l2tp] Domain: not the name of a domain", false},
		"not a pair":       {"s3cret", "line 10: [provider_l2tp] neither a group nor a key=value nor a comment", false},
		"refused together": {"L2TP.User = nobody", "line 5: [provider_l2tp] nobody cannot connect", false},
		"unknown group":    {"[s3]", "line 10: [s3] unknown group", true},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(example, "Networks = 10.10.20.0/255.255.255.0/10.20.1.5,192.168.99.1/24,2001:db8::1/64\nL2TP.User = username", tt.line, 1)
			specs, problems := parser{providers}.parse("f", []byte(text))
			if (len(specs) == 1) != tt.stays {
				t.Errorf("%d specifications", len(specs))
			}
			all := ""
			for _, p := range problems {
				all += p.Error() + "\n"
			}
			if !strings.Contains(all, tt.want) || (tt.want == "") != (all == "") || strings.Contains(all, "s3cret") {
				t.Errorf("problems %q, want %q", all, tt.want)
			}
		})
	}
}

// FuzzParse gives files any content.
func FuzzParse(f *testing.F) {
	f.Add([]byte(example), false)
	f.Add([]byte("[provider_x]\nType=l2tp\nName=n\nHost=h\nNetworks=1/2/3/4/5"), false)
	f.Add([]byte("[provider_x]\nType = ['l2tp']\nName = 1\n"), true)
	f.Fuzz(func(t *testing.T, data []byte, inTOML bool) {
		parse := parser{providers}.parse
		if inTOML {
			parse = parser{providers}.parseTOML
		}
		specs, _ := parse("f", data)
		for _, s := range specs {
			if core.CheckHost(s.Host) != nil || core.CheckName(s.Name) != nil || s.Type != "l2tp" {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// Files of both formats are followed.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		for _, err := range []error{
			os.WriteFile(filepath.Join(dir, "new"), []byte(text), 0o600),
			os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, name)),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	put("b.config", example)
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	reports := make(chan []core.Spec, 16)
	stop := New(l, log, dir, providers, nil).Watch(func(specs []core.Spec) { reports <- specs })
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	defer func() {
		l.Post("test", stop)
		l.Post("test", cancel)
		<-ended
	}()
	expect := func(want ...string) {
		t.Helper()
		select {
		case specs := <-reports:
			var got []string
			for _, s := range specs {
				got = append(got, s.File+"/"+s.Entry+"@"+s.Host)
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no report, want %q", want)
		}
	}
	expect("b/l2tp@1.2.3.4")
	put("b.config", strings.Replace(example, "1.2.3.4", "4.3.2.1", 1))
	expect("b/l2tp@4.3.2.1")
	put("c.toml", "[provider_c]\nType='l2tp'\nName='n'\nHost='h'\n")
	expect("b/l2tp@4.3.2.1", "c/c@h")
}
