package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"net.connman/pkg/bus"
)

const envSecret = "CONNMAN_SECRET"

// maxReport is how many bytes of environment are reported. The bus takes some
// more in a message.
const maxReport = 3 << 20

// report is what there is to say, and to whom.
type report struct {
	busName, iface string
	path           bus.ObjectPath
	busAddress     string // "": the usual
	secretFile     string
	reason         string
	dict           bus.Array // a{ss}
}

// private are the variables that are our own business, not the tunnel's.
var private = []string{"PATH", "PWD", "OLDPWD", "SHLVL", "_", "HOME", "LANG", "TERM"}

// readReport makes a report of an environment. What is not UTF-8, which D-Bus
// cannot carry, is left out.
func readReport(environ []string) (report, error) {
	r := report{dict: bus.Array{Elem: "{ss}"}}
	reasons := map[string]string{}
	size := 0
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "CONNMAN_BUSNAME":
			r.busName = value
		case "CONNMAN_INTERFACE":
			r.iface = value
		case "CONNMAN_PATH":
			r.path = bus.ObjectPath(value)
		case envSecret:
			r.secretFile = value
		case "DBUS_SYSTEM_BUS_ADDRESS":
			r.busAddress = value
		case "CONNMAN_REASON", "script_type", "reason":
			reasons[name] = value
		}
		if strings.HasPrefix(name, "CONNMAN_") || strings.HasPrefix(name, "DBUS_") || slices.Contains(private, name) {
			continue
		}
		if !utf8.ValidString(variable) {
			fmt.Fprintf(os.Stderr, "connman-vpn-notify: %q is not UTF-8\n", name)
			continue
		}
		if size += len(variable); size > maxReport {
			return report{}, fmt.Errorf("cannot report: there are more than %d bytes of environment", maxReport)
		}
		r.dict.Items = append(r.dict.Items, bus.Struct{name, value})
	}
	r.reason = cmp.Or(reasons["CONNMAN_REASON"], reasons["script_type"], reasons["reason"])
	switch {
	case r.reason == "" || !utf8.ValidString(r.reason):
		return report{}, fmt.Errorf("cannot report: nobody says what has happened")
	case r.busName == "" || r.iface == "" || !r.path.IsValid() || r.secretFile == "":
		return report{}, fmt.Errorf("cannot report: the environment does not name a task; connman-vpnd runs this program")
	}
	return r, nil
}
