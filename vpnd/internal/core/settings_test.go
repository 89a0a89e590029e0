package core

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCreate(t *testing.T) {
	run(t, nil, func(w *world) {
		for name, tt := range map[string]struct {
			d    Description
			want error
		}{
			"no host":     {Description{Type: "scripted", Name: "n"}, ErrInvalidArguments},
			"no type":     {Description{Host: "h", Name: "n"}, ErrNotSupported},
			"no name":     {Description{Host: "h", Type: "scripted"}, ErrNotSupported},
			"option":      {Description{Host: "--help", Type: "scripted", Name: "n"}, ErrInvalidArguments},
			"shell":       {Description{Host: "a;b", Type: "scripted", Name: "n"}, ErrInvalidArguments},
			"path":        {Description{Host: "h", Domain: "../x", Type: "scripted", Name: "n"}, ErrInvalidArguments},
			"line":        {Description{Host: "h", Type: "scripted", Name: "n\nType=x"}, ErrInvalidArguments},
			"long":        {Description{Host: strings.Repeat("h", 300), Type: "scripted", Name: "n"}, ErrInvalidArguments},
			"long both":   {Description{Host: strings.Repeat("h", 200), Domain: "d.test", Type: "scripted", Name: "n"}, ErrInvalidArguments},
			"nobody's":    {Description{Host: "h", Type: "nothing", Name: "n"}, ErrNotSupported},
			"wrong value": {Description{Host: "h", Type: "scripted", Name: "n", Values: []Value{{"Scripted.Port", "x"}}}, ErrInvalidArguments},
			"many routes": {Description{Host: "h", Type: "scripted", Name: "n", Routes: make([]Route, 10000)}, ErrInvalidArguments},
		} {
			w.do(func() {
				if c, err := w.m.Create(tt.d); !errors.Is(err, tt.want) || c != nil {
					t.Errorf("%s: %v, want %v", name, err, tt.want)
				}
			})
		}
		w.expect()
		if len(w.store.saved) != 0 || len(w.m.Connections()) != 0 {
			t.Errorf("something is left: %v", w.store.saved)
		}
		w.provider.missing = errors.New("no program")
		w.do(func() {
			if _, err := w.m.Create(Description{Host: "h", Type: "scripted", Name: "n"}); !errors.Is(err, ErrNotSupported) {
				t.Errorf("without the program: %v", err)
			}
		})
	})
}

// A single connection has the identifier that it always had; one of another type
// with the same host and domain has a name of its own.
func TestIdentifiers(t *testing.T) {
	run(t, nil, func(w *world) {
		d := Description{Type: "Scripted", Host: "vpn.test", Domain: "in-side.test", Name: "n"}
		w.create(d)
		d.Type = "other"
		w.create(d)
		w.create(d) // the same again
		w.create(Description{Host: "2001:db8::1"})
		want := []string{"vpn_test_in_side_test", "vpn_test_in_side_test_other", "2001_db8__1"}
		if got := ids(w.m); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func TestCreateAgain(t *testing.T) {
	run(t, nil, func(w *world) {
		yes := true
		c := w.create(Description{Values: []Value{{"Scripted.User", "one"}}})
		w.do(func() {
			_ = c.Change(func() (bool, error) { return c.SetText("Host", "10.0.0.1") }) // it keeps its name
		})
		w.expect("Host")
		w.do(func() {
			again, err := w.m.Create(Description{Type: "scripted", Host: "vpn.test", Name: "new", SplitRouting: &yes,
				Values: []Value{{"Scripted.User", "two"}, {"Unknown", "x"}}})
			if again != c || err != nil {
				t.Errorf("%v, %v", again, err)
			}
		})
		w.expect("Name", "Host", "Scripted.User", "SplitRouting", "added vpn_test")
		if w.store.saved["vpn_test"].Name != "new" || w.store.value("vpn_test", "Scripted.User") != "two" {
			t.Errorf("kept %v", w.store.saved)
		}
	})
}

func TestSetText(t *testing.T) {
	for name, tt := range map[string]struct {
		key, value string
		changes    []string
		want       error
	}{
		"name":         {"Name", "new", []string{"Name"}, nil},
		"same":         {"Name", "VPN", nil, nil},
		"empty name":   {"Name", "", nil, ErrInvalidProperty},
		"host":         {"Host", "10.0.0.1", []string{"Host"}, nil},
		"domain":       {"VPN.Domain", "new.test", []string{"Domain"}, nil},
		"type":         {"Type", "other", nil, ErrPermissionDenied},
		"same type":    {"Type", "Scripted", nil, nil},
		"setting":      {"Scripted.User", "new", []string{"Scripted.User"}, nil},
		"secret":       {"Scripted.Password", "new", nil, nil},
		"wrong":        {"Scripted.Port", "x", nil, ErrInvalidProperty},
		"control":      {"Scripted.User", "a\x00", nil, ErrInvalidProperty},
		"long":         {"Scripted.User", strings.Repeat("x", 1<<20), nil, ErrInvalidProperty},
		"nobody's":     {"Scripted.Nothing", "x", nil, ErrInvalidProperty},
		"read only":    {"State", "ready", nil, ErrPermissionDenied},
		"not a text":   {"SplitRouting", "true", nil, ErrInvalidProperty},
		"limit":        {"AuthErrorLimit", "7", []string{"AuthErrorLimit"}, nil},
		"hostile":      {"AuthErrorLimit", "-7", nil, ErrInvalidProperty},
		"hostile host": {"Host", "$(reboot)", nil, ErrInvalidProperty},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, nil, func(w *world) {
				c := w.create(Description{Domain: "old.test"})
				saves := w.store.saves
				w.do(func() {
					err := c.Change(func() (bool, error) { return c.SetText(tt.key, tt.value) })
					if !errors.Is(err, tt.want) {
						t.Errorf("%v, want %v", err, tt.want)
					}
				})
				w.expect(tt.changes...)
				written := w.store.saves > saves
				if want := tt.changes != nil || name == "secret"; written != want {
					t.Errorf("written: %v, want %v", written, want)
				}
			})
		})
	}
}

// A change of settings forgets a failure.
func TestSettingsEndFailure(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{})
		w.connect(c)
		w.do(func() { w.provider.last().report(Ended{ConnectFailed, errors.New("no")}) })
		w.changes()
		w.do(func() { _ = c.Change(func() (bool, error) { return c.SetText("Name", "new") }) })
		w.expect("Name", "disconnect", "idle")
	})
}

func TestClear(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{Domain: "d.test", Routes: []Route{{Dst: netip.MustParsePrefix("10.0.0.0/8")}},
			Values: []Value{{"Scripted.User", "u"}, {"Scripted.Password", "p"}}})
		for _, tt := range []struct {
			key  string
			want error
		}{
			{"UserRoutes", nil}, {"UserRoutes", nil}, {"Scripted.User", nil}, {"Scripted.User", ErrInvalidProperty},
			{"Scripted.Password", nil}, {"Domain", nil}, {"Domain", ErrInvalidProperty}, {"Name", ErrPermissionDenied},
			{"State", ErrPermissionDenied}, {"Nothing", ErrInvalidProperty},
		} {
			w.do(func() {
				if err := c.Change(func() (bool, error) { return c.Clear(tt.key) }); !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", tt.key, err, tt.want)
				}
			})
		}
		w.expect("UserRoutes", "Scripted.User", "Domain")
		s := w.store.saved["vpn_test"]
		if len(s.Routes) != 0 || w.store.value("vpn_test", "Scripted.Password") != "" || s.Domain != "" {
			t.Errorf("kept %v", s)
		}
	})
}

func TestRestore(t *testing.T) {
	kept := []Saved{
		{ID: "a", Type: "scripted", Name: "A", Host: "a", Domain: "d.test", SplitRouting: true,
			Values: []Value{{"Scripted.User", "u"}, {"Scripted.Password", "p"}, {"Scripted.Port", "wrong"}, {"Unknown", "x"}}},
		{ID: "b", Type: "nothing", Name: "B", Host: "b"},
	}
	run(t, kept, func(w *world) {
		w.expect("added a")
		c := w.m.Connection("a")
		s := c.settings()
		if c.Name() != "A" || !c.SplitRouting() || s.Text["Scripted.User"] != "u" || s.Secrets["Scripted.Password"] != "p" {
			t.Errorf("%v", s)
		}
		if want := []string{"Domain", "Host", "Name", "Scripted.User"}; !slices.Equal(sortedKeys(s.Text), want) {
			t.Errorf("settings %q, want %q", sortedKeys(s.Text), want)
		}
	})
}

func TestSpecs(t *testing.T) {
	spec := Spec{File: "f", Entry: "e", Type: "scripted", Name: "n", Host: "h", Domain: "d.test",
		Settings: Settings{Text: map[string]string{"Scripted.User": "u"}}}
	run(t, nil, func(w *world) {
		set := func(specs ...Spec) { w.do(func() { w.m.SetSpecs(specs) }) }
		set(spec)
		w.expect("added h_d_test")
		c := w.m.Provisioned("f", "e")
		w.do(func() {
			err := c.Change(func() (bool, error) { return c.SetText("Name", "x") })
			if !c.Immutable() || !errors.Is(err, ErrNotSupported) {
				t.Errorf("changed what a file says: %v", err)
			}
			if err := w.m.Remove(c.id); !errors.Is(err, ErrPermissionDenied) {
				t.Errorf("removed what a file says: %v", err)
			}
			again, err := w.m.Create(Description{Type: "scripted", Name: "x", Host: "h", Domain: "d.test"})
			if again != c || err != nil || c.Name() != "n" {
				t.Errorf("created again: %v, %v, %s", again, err, c.Name())
			}
		})
		w.expect("added h_d_test")
		set(spec)
		w.expect()

		w.connect(c)
		changed := spec
		changed.Settings = Settings{Text: map[string]string{"Scripted.User": "v"}}
		other := spec
		other.Entry, other.Type = "o", "other"
		twin := spec
		twin.Entry = "twin"
		set(changed, other, twin) // the twin is logged
		w.expect("configuration", "removed h_d_test", "disconnect", "idle", "added h_d_test", "added h_d_test_other")
		if c := w.m.Provisioned("f", "e"); c.Setting("Scripted.User") != "v" {
			t.Error("the change is not there")
		}
		set()
		w.expect("removed h_d_test", "removed h_d_test_other")
		if len(w.store.saved) != 0 {
			t.Errorf("kept %v", w.store.saved)
		}
	})
}

func TestParseRoute(t *testing.T) {
	for _, tt := range []struct {
		family                 int
		network, mask, gateway string
		want                   string // as it is saved, "" if it is wrong
	}{
		{0, "10.1.0.0", "255.255.0.0", "", "4/10.1.0.0/255.255.0.0/"},
		{4, "10.1.2.3", "16", "10.1.0.1", "4/10.1.0.0/255.255.0.0/10.1.0.1"},
		{4, "0.0.0.0", "0", "0.0.0.0", "4/0.0.0.0/0.0.0.0/"},
		{6, "2001:db8::1", "64", "", "6/2001:db8::/64/"},
		{0, "2001:db8::", "32", "2001:db8::1", "6/2001:db8::/32/2001:db8::1"},
		{6, "10.1.0.0", "16", "", ""},
		{4, "2001:db8::", "32", "", ""},
		{0, "10.1.0.0", "255.0.255.0", "", ""},
		{0, "10.1.0.0", "33", "", ""},
		{0, "10.1.0.0", "-1", "", ""},
		{0, "10.1.0.0", "", "", ""},
		{0, "2001:db8::", "129", "", ""},
		{0, "2001:db8::", "255.255.0.0", "", ""},
		{0, "fe80::1%eth0", "64", "", ""},
		{0, "::ffff:10.0.0.1", "128", "", ""},
		{0, "224.0.0.0", "4", "", ""},
		{0, "127.0.0.0", "8", "", ""},
		{0, "169.254.1.0", "24", "", ""},
		{0, "fe80::", "10", "", ""},
		{0, "255.255.255.255", "32", "", ""},
		{0, "0.0.0.0", "8", "", ""},
		{0, "::", "3", "", ""},
		{0, "1.2.3.4", "0", "", "4/0.0.0.0/0.0.0.0/"},
		{0, "0.0.0.0", "1", "", "4/0.0.0.0/128.0.0.0/"},
		{0, "10.1.0.0", "16", "2001:db8::1", ""},
		{0, "10.1.0.0", "16", "224.0.0.1", ""},
		{0, "$(reboot)", "16", "", ""},
	} {
		r, err := ParseRoute(tt.family, tt.network, tt.mask, tt.gateway)
		if got := r.String(); err == nil && got != tt.want || err != nil && tt.want != "" {
			t.Errorf("%v: %s, %v", tt, got, err)
		}
	}
}

// Routes survive being saved.
func TestRoutesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.SampledFrom([]int{4, 16}).Draw(t, "length")
		address, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), length, length).Draw(t, "address"))
		bits := rapid.IntRange(0, address.BitLen()).Draw(t, "bits")
		want, err := ParseRoute(0, address.String(), fmt.Sprint(bits), "")
		if err != nil {
			t.Skip(err)
		}
		got, err := ParseNetworks([]string{want.String()}, true)
		if err != nil || len(got) != 1 || got[0] != want {
			t.Fatalf("%v became %v, %v", want, got, err)
		}
	})
}

// FuzzParseNetworks gives networks any text.
func FuzzParseNetworks(f *testing.F) {
	f.Add("10.10.20.0/255.255.255.0/10.20.1.5", false)
	f.Add("6/2001:db8::/64/", true)
	f.Add("4/10.0.0.0", true)
	f.Add("//", false)
	f.Fuzz(func(t *testing.T, text string, family bool) {
		routes, err := ParseNetworks([]string{text}, family)
		if (err == nil) != (len(routes) == 1) {
			t.Fatalf("%v, %v", routes, err)
		}
		if err == nil && routes[0].Dst != routes[0].Dst.Masked() {
			t.Fatalf("%v is not masked", routes[0].Dst)
		}
	})
}
