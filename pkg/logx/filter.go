package logx

import (
	"os"
	"path"
	"strings"
)

// module is what the paths of the sources begin with, so that globs can do
// without.
const module = "net.connman/"

// debugSwitches are the environment variables that users know for turning on
// debug messages of one part, and the packages that the part is now.
var debugSwitches = []struct {
	variable string
	packages []string
}{
	{"CONNMAN_DHCP_DEBUG", []string{"connmand/internal/dhcp4", "connmand/internal/acd", "connmand/internal/ipv4ll"}},
	{"CONNMAN_DHCPV6_DEBUG", []string{"connmand/internal/dhcp6", "connmand/internal/ndisc"}},
	{"CONNMAN_RESOLV_DEBUG", []string{"connmand/internal/dnsproxy", "connmand/internal/dnstls", "connmand/internal/resolver", "connmand/internal/resolved"}},
	{"CONNMAN_SUPPLICANT_DEBUG", []string{"connmand/internal/tech/wifi"}},
	{"CONNMAN_WEB_DEBUG", []string{"connmand/internal/online"}},
}

// Filter chooses source files whose debug messages are wanted. The zero value
// chooses none.
type Filter struct {
	all   bool
	globs []string
}

// ParseFilter reads the argument of --debug: globs separated by colons, commas
// or spaces, matched against a source file's path in the tree
// ("connmand/internal/core/service.go", "connmand/internal/core/*"), against its
// package ("connmand/internal/core") and against its base name ("service.go"). No
// glob at all chooses everything.
//
// The C implementation's names ("src/service.c") choose the Go file of the same
// base name. Each of those, and each glob that is malformed, is answered with
// a warning for the log.
func ParseFilter(arg string) (f Filter, warnings []string) {
	for _, glob := range strings.FieldsFunc(arg, func(r rune) bool { return strings.ContainsRune(":, ", r) }) {
		if _, err := path.Match(glob, ""); err != nil {
			warnings = append(warnings, "debug glob "+glob+" is malformed and left out")
			continue
		}
		if name, ok := strings.CutSuffix(path.Base(glob), ".c"); ok {
			warnings = append(warnings, "debug glob "+glob+" names a source of the C implementation, taken as "+name+".go")
			glob = name + ".go"
		}
		f.globs = append(f.globs, glob)
	}
	f.all = len(f.globs) == 0 && len(warnings) == 0
	return f, warnings
}

// FromEnvironment adds what the CONNMAN_*_DEBUG variables choose; their values
// don't matter.
func (f Filter) FromEnvironment() Filter {
	for _, s := range debugSwitches {
		if _, set := os.LookupEnv(s.variable); !set {
			continue
		}
		for _, p := range s.packages {
			f.globs = append(f.globs[:len(f.globs):len(f.globs)], p, p+"/*")
		}
	}
	return f
}

// none reports whether the filter chooses no file at all.
func (f Filter) none() bool { return !f.all && len(f.globs) == 0 }

// match reports whether the function called name, in package path form
// ("net.connman/connmand/internal/core.(*Service).x"), in file is chosen.
func (f Filter) match(function, file string) bool {
	if f.all {
		return true
	}
	dir := packageOf(function)
	base := path.Base(file)
	for _, glob := range f.globs {
		for _, name := range []string{dir + "/" + base, dir, base} {
			// '*' does not cross a slash in path.Match, but does in the
			// globs that users know.
			if crossMatch(glob, name) {
				return true
			}
		}
	}
	return false
}

// packageOf cuts the package's path in the tree out of a function's name.
func packageOf(function string) string {
	slash := strings.LastIndexByte(function, '/') + 1
	if dot := strings.IndexByte(function[slash:], '.'); dot >= 0 {
		function = function[:slash+dot]
	}
	return strings.TrimPrefix(function, module)
}

// crossMatch is path.Match with slashes as ordinary characters.
func crossMatch(glob, name string) bool {
	plain := func(s string) string { return strings.ReplaceAll(s, "/", "\x01") }
	ok, err := path.Match(plain(glob), plain(name))
	return ok && err == nil
}
