package hostname

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// recorded returns names whose settings go to calls.
func recorded(calls *[]string, host, domain, file string) *Names {
	record := func(what string) func([]byte) error {
		return func(b []byte) error {
			if string(b) == "refused" {
				return unix.EPERM
			}
			*calls = append(*calls, what+" "+string(b))
			return nil
		}
	}
	return newNames(slog.New(slog.DiscardHandler), kernel{record("host"), record("domain")}, host, domain, file)
}

func TestSetAndRestore(t *testing.T) {
	var calls []string
	n := recorded(&calls, "mine", "(none)", "mine\n")
	n.SetHostname("zed.lab.example")
	n.SetHostname("zed") // the same
	n.SetDomainname("lab.example")
	n.SetHostname("a;touch x")
	n.SetHostname("refused")
	n.SetHostname("")
	n.SetHostname("")
	n.SetDomainname("")
	want := []string{"host zed", "domain lab.example", "host mine", "domain (none)"}
	if !slices.Equal(calls, want) {
		t.Errorf("did %q, want %q", calls, want)
	}
}

func TestOwnName(t *testing.T) {
	tests := []struct{ host, file, want, set string }{
		{host: "running", want: "running"},
		{host: "leased", file: "# name\n\n real \n", want: "real"},
		{host: "running", file: "bad name\nreal\n", want: "running"},
		{host: "running.example", want: "running.example"},
		{host: "(none)", want: "localhost", set: "host localhost"},
		{host: "", want: "localhost", set: "host localhost"},
		{host: "(none)", file: "real", want: "real", set: "host real"},
	}
	for _, tt := range tests {
		var calls []string
		n := recorded(&calls, tt.host, "", tt.file)
		if len(calls) > 0 {
			t.Errorf("%q, file %q: did %q before it began", tt.host, tt.file, calls)
		}
		n.Begin()
		if n.Hostname() != tt.want || strings.Join(calls, ",") != tt.set {
			t.Errorf("%q, file %q: name %q, did %q; want %q, %q", tt.host, tt.file, n.Hostname(), calls, tt.want, tt.set)
		}
	}
}

// The names of CVE-2012-2321 and their like.
func TestBadNames(t *testing.T) {
	var calls []string
	n := recorded(&calls, "mine", "mine.example", "")
	for _, bad := range []string{
		"a;touch /tmp/x", "$(reboot)", "a\nb", "../x", "-rf", "a-", "_a", "a..b", ".", "a.", "a b", "ä", "\xff", "a\x00b", "<hostname>",
		strings.Repeat("a", 64), strings.Repeat("a.", 150) + "a",
	} {
		n.SetHostname(bad)
		n.SetDomainname(bad)
	}
	if len(calls) > 0 {
		t.Errorf("set %q", calls)
	}
}

func FuzzSetHostname(f *testing.F) {
	for _, s := range []string{"zed.lab.example", "a;b", "..", "a_-b", "-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, to string) {
		var calls []string
		n := recorded(&calls, "mine", "", "")
		n.SetHostname(to)
		for _, c := range calls {
			if set := strings.TrimPrefix(c, "host "); !validLabel(set) || !strings.HasPrefix(to, set) {
				t.Errorf("%q became %q", to, set)
			}
		}
	})
}

func TestOnChange(t *testing.T) {
	var calls, told []string
	n := recorded(&calls, "mine", "(none)", "")
	n.OnChange(func(host, domain string) { told = append(told, host+","+domain) })
	n.SetHostname("zed")
	n.SetHostname("refused")
	n.SetDomainname("lab.example")
	n.SetDomainname("")
	if want := []string{"mine,", "zed,", "zed,lab.example", "zed,"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
