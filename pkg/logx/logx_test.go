package logx

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/BurntSushi/toml"
)

func TestSecretNeverShows(t *testing.T) {
	type holder struct{ Passphrase Secret }
	const word = "opensesame"
	s, h := Secret(word), holder{word}
	var out bytes.Buffer
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d", "%10.3s", "%T=%v"} {
		if verb == "%T=%v" {
			fmt.Fprintf(&out, verb, s, s)
			continue
		}
		fmt.Fprintf(&out, verb+"\n", s)
		fmt.Fprintf(&out, verb+"\n", h)
		fmt.Fprintf(&out, verb+"\n", &h)
		fmt.Fprintf(&out, verb+"\n", []Secret{s})
	}
	fmt.Fprintln(&out, s, h, fmt.Errorf("cannot use %v", s))
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil), newHandler(Filter{}, &lines{out: &out})} {
		slog.New(handler).Info("m", "s", s, "h", h, slog.Group("g", "s", s))
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"s": s, "h": h}); err != nil {
		t.Fatal(err)
	}
	if err := toml.NewEncoder(&out).Encode(h); err != nil {
		t.Fatal(err)
	}
	text := strings.ToLower(out.String())
	for _, leak := range []string{word, fmt.Sprintf("%x", word), "opens"} {
		if strings.Contains(text, leak) {
			t.Errorf("%q shows in %s", leak, text)
		}
	}
	if s.Reveal() != word {
		t.Error("Reveal does not reveal")
	}
}

func TestFilter(t *testing.T) {
	const (
		function = "net.connman/connmand/internal/core.(*Service).setState.func1"
		file     = "/build/connmand/internal/core/service.go"
	)
	tests := []struct {
		arg      string
		want     bool
		warnings int
	}{
		{"", true, 0},
		{"service.go", true, 0},
		{"connmand/internal/core/service.go", true, 0},
		{"connmand/internal/core", true, 0},
		{"connmand/*", true, 0},
		{"*/core/*", true, 0},
		{"*", true, 0},
		{"serv?ce.go", true, 0},
		{"nothing.go:service.go", true, 0},
		{"nothing.go, service.go", true, 0},
		{"src/service.c", true, 1},
		{"src/*.c", true, 1},
		{"src/network.c", false, 1},
		{"network.go", false, 0},
		{"pkg/*", false, 0},
		{"[", false, 1},
		{"core", false, 0},
	}
	for _, tt := range tests {
		f, warnings := ParseFilter(tt.arg)
		if got := f.match(function, file); got != tt.want || len(warnings) != tt.warnings {
			t.Errorf("%q: match %t, warnings %q; want %t, %d", tt.arg, got, warnings, tt.want, tt.warnings)
		}
	}
}

func TestFilterFromEnvironment(t *testing.T) {
	for _, s := range debugSwitches {
		t.Setenv(s.variable, "") // so that it is restored
		if err := os.Unsetenv(s.variable); err != nil {
			t.Fatal(err)
		}
	}
	if !(Filter{}).FromEnvironment().none() {
		t.Error("no variable is set and yet files are chosen")
	}
	t.Setenv("CONNMAN_DHCP_DEBUG", "1")
	f := Filter{}.FromEnvironment()
	if !f.match("net.connman/connmand/internal/dhcp4.(*Client).send", "/x/dhcp4/client.go") {
		t.Error("CONNMAN_DHCP_DEBUG does not choose dhcp4")
	}
	if f.match("net.connman/connmand/internal/core.x", "/x/core/x.go") {
		t.Error("CONNMAN_DHCP_DEBUG chooses core")
	}
}

// TestSwitchesChooseSources keeps the variables from choosing what there is not.
func TestSwitchesChooseSources(t *testing.T) {
	for _, s := range debugSwitches {
		for _, p := range s.packages {
			if _, err := os.Stat(filepath.Join("../..", p, "doc.go")); err != nil {
				t.Errorf("%s: %v", s.variable, err)
			}
		}
	}
}

func TestLines(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(newHandler(Filter{}, &lines{out: &out, program: "connmand"}))
	log.Info("started", "version", 1)
	log.Warn("odd", "name", "a b", "empty", "")
	log.With("if", "eth0").WithGroup("g").Error("bad\nline", "k", "x\ny\x1b[1m")
	log.Debug("not wanted")
	want := `connmand: started version=1
connmand: warning: odd name="a b" empty=""
connmand: error: bad\nline if=eth0 g.k="x\ny\x1b[1m"
`
	if out.String() != want {
		t.Errorf("got\n%swant\n%s", out.String(), want)
	}
}

func TestDebugOnlyOfChosenFiles(t *testing.T) {
	for arg, want := range map[string]int{"logx_test.go": 2, "pkg/logx": 2, "other.go": 0} {
		var out bytes.Buffer
		f, _ := ParseFilter(arg)
		log := NewWriter(&out, f)
		for range 2 {
			log.Debug("detail")
		}
		if got := strings.Count(out.String(), "detail"); got != want {
			t.Errorf("-d %s: %d messages, want %d", arg, got, want)
		}
		if want > 0 && !strings.HasPrefix(out.String(), "pkg/logx/logx_test.go:") {
			t.Errorf("-d %s: no source in %q", arg, out.String())
		}
	}
}

func TestDisabledDebugAllocatesNothing(t *testing.T) {
	log := NewWriter(io.Discard, Filter{})
	ctx, name := context.Background(), strings.Repeat("x", 3)
	for how, message := range map[string]func(){
		"Debug":    func() { log.Debug("detail", "a", "b", "c", 7) },
		"LogAttrs": func() { log.LogAttrs(ctx, slog.LevelDebug, "detail", slog.String("a", name)) },
	} {
		if n := testing.AllocsPerRun(100, message); n > 0 {
			t.Errorf("%s: %v allocations a message", how, n)
		}
	}
}

func BenchmarkDisabledDebug(b *testing.B) {
	log := NewWriter(io.Discard, Filter{})
	for b.Loop() {
		log.Debug("detail", "a", "b", "c", 7)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	server, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	j := dialJournal(path, "connmand")
	if j == nil {
		t.Fatal("no connection")
	}
	defer j.conn.Close()
	all, _ := ParseFilter("")
	log := slog.New(newHandler(all, j))
	receive := func() map[string]string {
		t.Helper()
		buffer := make([]byte, 1<<20)
		if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := server.Read(buffer)
		if err != nil {
			t.Fatal(err)
		}
		return fields(t, buffer[:n])
	}

	log.Error("cannot do", "service", "x", "text", "a\nMESSAGE=forged", "odd key!", 1)
	got := receive()
	for name, want := range map[string]string{
		"MESSAGE":           `cannot do service=x text="a\nMESSAGE=forged" odd key!=1`,
		"PRIORITY":          "3",
		"SYSLOG_IDENTIFIER": "connmand",
		"CONNMAN_SERVICE":   "x",
		"CONNMAN_TEXT":      "a\nMESSAGE=forged",
		"CONNMAN_ODD_KEY_":  "1",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	log.Debug("detail")
	if got := receive(); got["PRIORITY"] != "7" || !strings.HasSuffix(got["CODE_FILE"], "logx_test.go") || got["CODE_LINE"] == "" {
		t.Errorf("debug record is %q", got)
	}
	log.Warn("long", "text", strings.Repeat("x", 1<<20))
	if got := receive(); got["PRIORITY"] != "4" || !strings.HasPrefix(got["MESSAGE"], "long text=xxx") {
		t.Errorf("long record has priority %q", got["PRIORITY"])
	}
	if dialJournal(path+".absent", "x") != nil {
		t.Error("connected to nobody")
	}
}

// fields decodes systemd's native protocol.
func fields(t *testing.T, data []byte) map[string]string {
	got := make(map[string]string)
	for len(data) > 0 {
		line, rest, found := bytes.Cut(data, []byte("\n"))
		if !found {
			t.Fatalf("field without an end: %q", data)
		}
		name, value, plain := bytes.Cut(line, []byte("="))
		if !plain {
			size := binary.LittleEndian.Uint64(rest)
			value, rest = rest[8:8+size], rest[8+size:]
			if rest[0] != '\n' {
				t.Fatal("binary field without an end")
			}
			rest = rest[1:]
		}
		got[string(name)] = string(value)
		data = rest
	}
	return got
}

func TestEnabledFollowsTheFilter(t *testing.T) {
	all, _ := ParseFilter("")
	ctx := context.Background()
	if newHandler(Filter{}).Enabled(ctx, slog.LevelDebug) || !newHandler(all).Enabled(ctx, slog.LevelDebug) {
		t.Error("debug is enabled by the wrong filter")
	}
}
