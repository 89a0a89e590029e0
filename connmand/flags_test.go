package main

import (
	"reflect"
	"strings"
	"testing"
)

// parsed is what the command line says, and the error that refuses it.
func parsed(t *testing.T, args ...string) (options, error) {
	t.Helper()
	var got options
	ran := false
	c := command("1.2", func(o options) error { got, ran = o, true; return nil })
	c.SetArgs(args)
	err := c.Execute()
	if ran == (err != nil) {
		t.Fatalf("%v: ran %t, error %v", args, ran, err)
	}
	return got, err
}

func TestCommandLine(t *testing.T) {
	base := options{wifiDrivers: defaultWifiDrivers}
	for line, change := range map[string]func(*options){
		"":                                   func(*options) {},
		"-c /etc/a.toml":                     func(o *options) { o.config = "/etc/a.toml" },
		"--config=/etc/a.toml":               func(o *options) { o.config = "/etc/a.toml" },
		"-d":                                 func(o *options) { o.debugging, o.debug = true, allSources },
		"--debug":                            func(o *options) { o.debugging, o.debug = true, allSources },
		"-d a.go:b.go":                       func(o *options) { o.debugging, o.debug = true, "a.go:b.go" },
		"--debug=a.go,b.go":                  func(o *options) { o.debugging, o.debug = true, "a.go,b.go" },
		"-i eth0,en* -I eth1":                func(o *options) { o.devices, o.noDevices = []string{"eth0", "en*"}, []string{"eth1"} },
		"--device eth0 --nodevice=eth1,tap?": func(o *options) { o.devices, o.noDevices = []string{"eth0"}, []string{"eth1", "tap?"} },
		"-p ethernet -P wifi -P vpn":         func(o *options) { o.plugins, o.noPlugins = []string{"ethernet"}, []string{"wifi", "vpn"} },
		"--plugin=e*,w* --noplugin=vpn":      func(o *options) { o.plugins, o.noPlugins = []string{"e*", "w*"}, []string{"vpn"} },
		"-W nl80211":                         func(o *options) { o.wifiDrivers = "nl80211" },
		"--wifi=wext":                        func(o *options) { o.wifiDrivers = "wext" },
		"-n -r":                              func(o *options) { o.foreground, o.noDNSProxy = true, true },
		"-nr":                                func(o *options) { o.foreground, o.noDNSProxy = true, true },
		"--nodaemon --nodnsproxy":            func(o *options) { o.foreground, o.noDNSProxy = true, true },
		"--nobacktrace":                      func(*options) {},
	} {
		want := base
		change(&want)
		got, err := parsed(t, strings.Fields(line)...)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v; want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{"--nope", "-x", "eth0", "-d a b", "-c", "-i [", "-I [", "-p [", "-P ethernet,["} {
		if got, err := parsed(t, strings.Fields(line)...); err == nil {
			t.Errorf("%q is taken for %+v", line, got)
		}
	}
}

// TestParts: without --plugin every part is used, and --noplugin has the last
// word.
func TestParts(t *testing.T) {
	for line, want := range map[string]string{
		"":                       "ethernet wifi vpn",
		"-p ethernet":            "ethernet",
		"-p e*,v*":               "ethernet vpn",
		"-P wifi,vpn":            "ethernet",
		"-p * -P ?????":          "ethernet wifi vpn",
		"-p ethernet,wifi -P w*": "ethernet",
		"-p bluetooth":           "",
		"-P bluetooth":           "ethernet wifi vpn",
	} {
		o, err := parsed(t, strings.Fields(line)...)
		if err != nil {
			t.Fatal(err)
		}
		var used []string
		for _, part := range []string{"ethernet", "wifi", "vpn"} {
			if o.uses(part) {
				used = append(used, part)
			}
		}
		if got := strings.Join(used, " "); got != want {
			t.Errorf("%q uses %q, want %q", line, got, want)
		}
	}
}
