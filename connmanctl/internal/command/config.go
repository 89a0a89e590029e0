package command

import (
	"fmt"
	"strings"

	"net.connman/pkg/bus"
)

// config sets properties of a service: SERVICE OPTION WORD... [OPTION WORD...].
// An option takes as many words as its kind may have, also if one reads like an
// option, and a list takes all that follow: the reference does so too.
func config(s *Session, args []string) error {
	switch {
	case len(args) == 0 || args[0] == "", len(args) == 1 && !validID(args[0]):
		return errInvalid
	case len(args) > 1:
		s.named("config", serviceList, args[0], func(id string) { s.configureAll(id, args[1:]) })
	}
	return nil
}

func (s *Session) configureAll(id string, words []string) {
	for len(words) > 0 {
		option := words[0]
		used, err := s.configure(id, find(configOptions, option), words[1:])
		if err != nil {
			s.misuse(s.Out, option, err)
		}
		words = words[1+min(used, len(words)-1):]
	}
}

// configure applies one option to a service and returns how many of the words
// behind it belong to it.
func (s *Session) configure(id, option string, words []string) (used int, err error) {
	set := func(property string, value any) {
		s.set(service(id), property, value, id, nothing)
	}
	switch option {
	case "autoconnect", "mdns":
		on, ok := onOff(arg(words, 0))
		if !ok {
			return 1, errInvalid
		}
		set(map[string]string{"autoconnect": "AutoConnect", "mdns": "mDNS.Configuration"}[option], on)
		return 1, nil
	case "nameservers", "timeservers", "domains":
		property := strings.ToUpper(option[:1]) + option[1:] + ".Configuration"
		set(property, append([]string{}, words...))
		return len(words), nil
	case "ipv4":
		value, used := ipv4(words)
		set("IPv4.Configuration", value)
		return used, nil
	case "ipv6":
		value, used, wrong := ipv6(words)
		if wrong != "" {
			s.note(Misused)
			fmt.Fprintf(s.Err, "Error %s: %s\n", wrong, errInvalid)
		}
		set("IPv6.Configuration", value)
		return used, nil
	case "proxy":
		value, used := proxy(words)
		set("Proxy.Configuration", value)
		return used, nil
	case "remove":
		s.call(service(id), "Remove", id, nothing)
		return 0, nil
	}
	return 0, errInvalid
}

// ipv4 reads METHOD [ADDRESS [NETMASK [GATEWAY]]].
func ipv4(words []string) (value bus.Dict, used int) {
	keys := []string{"Method", "Address", "Netmask", "Gateway"}
	for i := range min(len(words), len(keys)) {
		value = append(value, bus.Entry{Key: keys[i], Value: words[i]})
	}
	return value, len(value)
}

// ipv6 reads off, auto [PRIVACY] or manual ADDRESS PREFIXLENGTH GATEWAY. What it
// cannot read it returns as wrong.
func ipv6(words []string) (value bus.Dict, used int, wrong string) {
	if len(words) == 0 {
		return bus.Dict{}, 1, "(null)" // as the reference prints it
	}
	switch words[0] {
	case "auto":
		if len(words) == 1 {
			used = 1
			break
		}
		privacy := privacyOf(words[1])
		if privacy == "" {
			return bus.Dict{}, 2, words[1]
		}
		value, used = bus.Dict{bus.Entry{Key: "Privacy", Value: privacy}}, 2
	case "manual":
		value, used = manualIPv6(words)
	case "off":
		used = 1
	default:
		return bus.Dict{}, 1, words[0]
	}
	return append(value, bus.Entry{Key: "Method", Value: words[0]}), used, ""
}

func privacyOf(word string) string {
	if on, ok := onOff(word); ok && on {
		return "enabled"
	} else if ok {
		return "disabled"
	}
	if word == "prefered" || word == "preferred" {
		return "prefered" // as the D-Bus API spells it
	}
	return ""
}

func manualIPv6(words []string) (value bus.Dict, used int) {
	keys := []string{"Method", "Address", "PrefixLength", "Gateway"}
	used = min(len(words), len(keys))
	for i := 1; i < used; i++ {
		if keys[i] == "PrefixLength" {
			value = append(value, bus.Entry{Key: keys[i], Value: byte(leadingInt(words[i]))})
		} else {
			value = append(value, bus.Entry{Key: keys[i], Value: words[i]})
		}
	}
	return value, used
}

// proxy reads direct, auto [URL] or manual SERVER... [--excludes HOST...].
func proxy(words []string) (value bus.Dict, used int) {
	method := arg(words, 0)
	switch method {
	case "direct":
		used = 1
	case "auto":
		if used = min(len(words), 2); used == 2 {
			value = bus.Dict{bus.Entry{Key: "URL", Value: words[1]}}
		}
	case "manual":
		servers, excludes := words[1:], []string{}
		for i, word := range servers {
			if word == "--excludes" {
				servers, excludes = servers[:i], servers[i+1:]
				break
			}
		}
		value = bus.Dict{bus.Entry{Key: "Servers", Value: servers}, bus.Entry{Key: "Excludes", Value: excludes}}
		used = len(words)
	default:
		return bus.Dict{}, 0
	}
	return append(value, bus.Entry{Key: "Method", Value: method}), used
}
