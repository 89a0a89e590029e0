package command

import (
	"fmt"
	"strconv"

	"net.connman/pkg/bus"
)

func enable(s *Session, args []string) error {
	return s.technology("enable", args, func(id string) { s.power(id, true, "Enabled", "enabled") })
}

func disable(s *Session, args []string) error {
	return s.technology("disable", args, func(id string) { s.power(id, false, "Disable", "disabled") })
}

// technology hands the identifier of the technology that the only argument names
// to then.
func (s *Session) technology(command string, args []string, then func(id string)) error {
	name, err := nameArg(args)
	if err == nil {
		s.named(command, technologyList, name, then)
	}
	return err
}

// power switches a technology or the offline mode; worked and already are the
// words for the outcome.
func (s *Session) power(id string, on bool, worked, already string) {
	t, property := technology(id), "Powered"
	if id == "offline" {
		t, property = manager, "OfflineMode"
	}
	value := bus.Variant{Value: on}
	s.ask(t, "SetProperty", []any{property, value}, func(_ []any, err error) {
		switch errorName(err) {
		case "UnknownObject":
			s.noteError(err)
			fmt.Fprintf(s.Err, "%s is not available\n", id)
		case "AlreadyEnabled", "AlreadyDisabled":
			s.noteError(err)
			fmt.Fprintf(s.Err, "%s is already %s\n", id, already)
		default:
			if err != nil {
				s.refused(id, err)
			} else {
				fmt.Fprintf(s.Out, "%s %s\n", worked, id)
			}
		}
	})
}

func scan(s *Session, args []string) error {
	return s.technology("scan", args, func(id string) {
		t := technology(id)
		s.call(t, "Scan", t.path, s.say("Scan completed for %s", id))
	})
}

// tether switches sharing on and off; Wi-Fi also takes a name and a passphrase
// first, with or without switching.
func tether(s *Session, args []string) error {
	if len(args) < 2 {
		return errInvalid
	}
	on, switched := onOff(args[1])
	if args[0] == "wifi" && len(args) > 2 {
		return s.tetherWiFi(args[1:], on, switched)
	}
	switch {
	case len(args) > 2:
		return errTooMany
	case !switched:
		return errInvalid
	}
	return s.technology("tether", args[:1], func(id string) { s.setTethering(id, on) })
}

func (s *Session) setTethering(id string, on bool) {
	worked, failed := "Enabled", "enabling"
	if !on {
		worked, failed = "Disabled", "disabling"
	}
	s.set(technology(id), "Tethering", on, failed+" "+id+" tethering",
		s.say("%s tethering for %s", worked, id))
}

// tetherWiFi takes [on|off] SSID PASSPHRASE [FREQUENCY]. Two words are always
// name and passphrase, also when the first reads like a switch.
func (s *Session) tetherWiFi(words []string, on, switched bool) error {
	frequency := 0
	switch {
	case len(words) > 4:
		return errTooMany
	case len(words) > 2 && !switched:
		return errInvalid
	case len(words) == 2:
		switched = false
	case len(words) == 4:
		frequency = leadingInt(words[3])
		words = words[:3]
	}
	ssid, passphrase := words[len(words)-2], words[len(words)-1]
	waiting := 2
	done := func(text string) func([]any) {
		return func([]any) {
			fmt.Fprintln(s.Out, text)
			if waiting--; waiting == 0 && switched {
				s.setTethering("wifi", on)
			}
		}
	}
	wifi := technology("wifi")
	s.set(wifi, "TetheringIdentifier", ssid, "setting wifi SSID", done("Wifi SSID set"))
	s.set(wifi, "TetheringPassphrase", passphrase, "setting wifi passphrase", done("Wifi passphrase set"))
	if frequency > 0 {
		waiting++
		s.set(wifi, "TetheringFreq", int32(frequency), "setting wifi frequency", done("Wifi access point frequency set"))
	}
	return nil
}

// leadingInt reads the digits at the start of s as the C library's atoi does.
func leadingInt(s string) int {
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, _ := strconv.ParseInt(s[:end], 10, 32)
	return int(n)
}
