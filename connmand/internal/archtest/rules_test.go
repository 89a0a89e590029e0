package archtest

import (
	"path"
	"slices"
	"strings"
)

// importRule says which imports are wrong, and why.
type importRule struct {
	why string
	// bad reports whether a package in folder from, named from the root of the
	// source, may not import what.
	bad func(from, what string) bool
	// tests says that the rule binds tests, too.
	tests bool
}

const (
	ours   = "net.connman/"
	daemon = ours + "connmand/internal/"
)

var importRules = []importRule{
	{
		why: "core is the domain without I/O: what it needs from outside is an interface that it declares",
		bad: func(from, what string) bool {
			return (under(from, "connmand/internal/core") || under(from, "vpnd/internal/core")) && !pure(what)
		},
	},
	{
		why: "kernel is the only door to rtnetlink: one socket, one order of events. In vpnd, who makes links makes them there",
		bad: func(from, what string) bool {
			return strings.HasPrefix(what, "github.com/vishvananda/netlink") && !under(from, "connmand/internal/kernel") && !under(from, "integration") &&
				!under(from, "vpnd/internal/tun") && !under(from, "vpnd/internal/provider/wireguard")
		},
		tests: true,
	},
	{
		why: "pkg is mechanism that every program shares: it knows none of them",
		bad: func(from, what string) bool {
			return under(from, "pkg") && strings.HasPrefix(what, ours) && !strings.HasPrefix(what, ours+"pkg/")
		},
		tests: true,
	},
	{
		why: "programs are joined by D-Bus alone: each is replaced and restarted without the others",
		bad: func(from, what string) bool {
			program, _, _ := strings.Cut(from, "/")
			return program != "pkg" && program != "integration" && strings.HasPrefix(what, ours) &&
				!strings.HasPrefix(what, ours+"pkg/") && !strings.HasPrefix(what, ours+program+"/")
		},
		tests: true,
	},
	{
		why: "bearers do not know each other: a new one is one new folder and one line in main",
		bad: func(from, what string) bool {
			return bearer(from) != "" && bearer(strings.TrimPrefix(what, ours)) != "" &&
				bearer(strings.TrimPrefix(what, ours)) != bearer(from)
		},
		tests: true,
	},
	{
		why: "providers do not know each other: a new one is one new folder and one line in main",
		bad: func(from, what string) bool {
			mine, theirs := provider(from), provider(strings.TrimPrefix(what, ours))
			return mine != "" && theirs != "" && mine != theirs
		},
		tests: true,
	},
	{
		why: "protocols speak to the wire and report values: the bus is busapi's",
		bad: func(from, what string) bool {
			return slices.Contains(protocols, strings.TrimPrefix(from, "connmand/internal/")) && bus(what)
		},
		tests: true,
	},
	{
		why: "arrows point one way: only main and busapi know busapi",
		bad: func(from, what string) bool {
			program, isBusapi := strings.CutSuffix(strings.TrimPrefix(what, ours), "/internal/busapi")
			return isBusapi && from != program && from != program+"/internal/busapi"
		},
	},
	{
		why: "an HTTP client costs a megabyte and a half and follows strangers' wishes: the online check reads a reply's head, no more",
		bad: func(from, what string) bool {
			return what == "net/http" && !under(from, "integration")
		},
	},
	{
		why: "children are started by proc: argv only, no secrets in it, none left behind",
		bad: func(from, what string) bool {
			return what == "os/exec" && !under(from, "pkg/proc") && !under(from, "integration") && !under(from, "pkg/cmd")
		},
	},
	{
		why: "domain state belongs to the loop: there is nothing to lock",
		bad: func(from, what string) bool {
			return (what == "sync" || what == "sync/atomic") &&
				(strings.HasSuffix(from, "/internal/core") || strings.HasSuffix(from, "/internal/busapi"))
		},
	},
}

// protocols are the packages that speak a protocol.
var protocols = []string{
	"acd", "dhcp4", "dhcp6", "dnsproxy", "dnstls", "ipv4ll", "kernel", "link", "ndisc", "online", "rawsock", "resolver",
}

// pure reports whether what is free of I/O: values, text, time and our loop.
func pure(what string) bool {
	return slices.Contains([]string{
		"cmp", "context", "errors", "fmt", "io", "iter", "log/slog", "maps", "math", "math/bits", "math/rand/v2", "net/netip", "net/url",
		"slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8", "encoding/hex", "encoding/binary", "regexp",
		ours + "pkg/loop", ours + "pkg/netcfg", ours + "pkg/logx",
	}, what) || strings.HasPrefix(what, daemon+"core")
}

func bus(what string) bool {
	return strings.HasPrefix(what, "github.com/godbus/dbus") || strings.HasPrefix(what, ours+"pkg/bus") || strings.HasPrefix(what, ours+"pkg/api")
}

// bearer returns the bearer that the package at p belongs to, "" if none.
// techtest is their common test suite.
func bearer(p string) string {
	rest, ok := strings.CutPrefix(p, "connmand/internal/tech/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || name == "techtest" {
		return ""
	}
	return name
}

// provider returns the maker of tunnels that the package at p belongs to, "" if
// none. What two of them share is none.
func provider(p string) string {
	rest, ok := strings.CutPrefix(p, "vpnd/internal/provider/")
	name, _, _ := strings.Cut(rest, "/")
	if !ok || name == "vpncscript" {
		return ""
	}
	return name
}

// under reports whether folder is root or lies in it.
func under(folder, root string) bool {
	return folder == root || strings.HasPrefix(folder, root+"/")
}

// maySleep are the tests whose sleep is what they are about.
var maySleep = map[string]bool{
	"pkg/store/store_test.go":                  true, // kills a writer at another moment each time
	"integration/wifi/bench_test.go":           true, // an outage has a length
	"integration/wifi/crowd_test.go":           true, // watches that nothing happens
	"integration/wired/usage_test.go":          true, // watches that nothing happens, and strikes at random moments
	"connmand/internal/tech/techtest/suite.go": true, // called in its callers' bubbles, where time is virtual
	"connmand/internal/tech/techtest/world.go": true, // likewise
}

// badName reports whether folder is named for what it is not.
func badName(folder string) bool {
	return slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}, path.Base(folder))
}
