//go:build netns

package wired

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"net.connman/integration/lab"
)

// remembered are the properties that outlast a daemon.
var remembered = []string{
	"AutoConnect", "Favorite", "Name", "IPv4.Configuration", "IPv6.Configuration", "Nameservers.Configuration",
	"Timeservers.Configuration", "Domains.Configuration", "Proxy.Configuration", "mDNS.Configuration",
}

// memory is what the daemon remembers of all services.
func (w *world) memory() map[string]string {
	w.t.Helper()
	all := map[string]string{}
	for _, s := range w.services() {
		for _, name := range remembered {
			all[fmt.Sprint(s.Path, " ", name)] = text(s.Props[name])
		}
	}
	return all
}

// choose gives two services settings that differ from every default. round
// makes them differ from those of another round.
func (w *world) choose(round string) {
	w.t.Helper()
	w.set(0, "Nameservers.Configuration", []string{"10.77.0.1", "10.77.0." + round})
	w.set(0, "Domains.Configuration", []string{"a.test", "b" + round + ".test"})
	w.set(0, "Timeservers.Configuration", []string{"ntp" + round + ".test"})
	w.set(0, "Proxy.Configuration", dictOf("Method", "manual", "Servers", []string{"p" + round + ".test:8080"}, "Excludes", []string{"a.test", "b.test"}))
	w.set(0, "mDNS.Configuration", true)
	w.set(0, "IPv6.Configuration", dictOf("Method", "auto", "Privacy", "prefered"))
	w.set(0, "IPv4.Configuration", manual("10.77.4."+round, "255.255.240.0", "10.77.0.1"))
	w.set(1, "AutoConnect", false)
	w.set(1, "Proxy.Configuration", dictOf("Method", "auto", "URL", "http://x.test/"+round+".pac"))
	w.set(1, "IPv4.Configuration", dictOf("Method", "off"))
	w.untilAddressed(0, "10.77.4."+round)
}

// untilAddressed waits for the service of link i to be connected with an
// address. Whether the reference then finds the Internet is a matter of luck.
func (w *world) untilAddressed(i int, address string) {
	w.t.Helper()
	w.until("address", func() error {
		p := w.service(i)
		if state := text(p["State"]); state != "ready" && state != "online" {
			return expect("state", state, "ready or online")
		}
		return expect("address", field(p, "IPv4", "Address"), address)
	})
}

// TestStateDirectoryMovesBothWays: what one daemon was told, the other knows,
// and what only the reference knows of survives ours.
func TestStateDirectoryMovesBothWays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name          string
		writer, heirs lab.Manager
	}{
		{"reference to ours", lab.Reference(), lab.Ours()},
		{"ours to reference", lab.Ours(), lab.Reference()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 2, nil)
			must(t, w.Ports[1].Down())
			w.run(c.writer)
			w.untilAddressed(0, "10.77.1.0")
			must(t, w.Ports[1].Up())
			w.untilAddressed(1, "10.77.1.1")
			w.choose("7")
			want := w.memory()
			must(t, expect("properties", len(want), 2*len(remembered)))
			must(t, w.daemon.Stop(patience))

			w.run(c.heirs)
			w.untilAddressed(0, "10.77.4.7")
			w.until("the other", func() error { return expect("AutoConnect", text(w.service(1)["AutoConnect"]), "false") })
			if state := text(w.service(1)["State"]); state == "ready" || state == "online" {
				t.Errorf("a service that is not to connect by itself is %s", state)
			}
			if diff := cmp.Diff(want, w.memory()); diff != "" {
				t.Errorf("written by one, read by the other (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSavedTetheringIsShown: what was said of sharing a technology shows, whichever
// daemon it was said to.
func TestSavedTetheringIsShown(t *testing.T) {
	t.Parallel()
	show := func(m lab.Manager) string {
		w := newWorld(t, 1, nil)
		must(t, w.Machine.WriteFile(stateDir+"settings",
			"[Wired]\nEnable=true\nTethering=false\nTethering.Identifier=lab\nTethering.Passphrase=a\\\\\"b c\nTethering.Freq=2437\n"))
		w.run(m)
		w.untilState(0, "online")
		p, err := w.properties(ethernetPath, "Technology")
		must(t, err)
		return fmt.Sprint(p)
	}
	theirs, ours := show(lab.Reference()), show(lab.Ours())
	if !strings.Contains(theirs, "TetheringPassphrase") {
		t.Errorf("the reference says %s: this proves nothing", theirs)
	}
	must(t, expect("technology", ours, theirs))
}

func TestForeignSettingsSurvive(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	// As the reference leaves them, with what later versions may add.
	must(t, w.Machine.WriteFile(stateDir+"settings", `[global]
OfflineMode=false
TimeUpdates=manual
TimezoneUpdates=auto

[WiFi]
Enable=true
Tethering=false

[Wired]
Enable=true
Tethering=false
Tethering.Freq=2412
`))
	w.startOnline()
	w.do(ethernetPath, "Technology.SetProperty", "Powered", val(false))
	w.end()
	got := settingsLines(w.read(stateDir + "settings"))
	must(t, inOrder(got, "[global]", "OfflineMode=false", "TimeUpdates=manual", "TimezoneUpdates=auto", "[WiFi]", "Enable=true", "[Wired]", "Enable=false", "Tethering.Freq=2412"))
}

func TestCorruptSettingsAreSetAside(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	broken := "[ethernet_0277\x00\xff garbage\nIPv4.method"
	file := stateDir + w.serviceID(0) + "/settings"
	must(t, w.Machine.WriteFile(file, broken))
	must(t, w.Machine.WriteFile(stateDir+"settings", "no key file at all"))
	w.startOnline()
	for _, path := range []string{file, stateDir + "settings"} {
		w.untilLogged("corrupt", path+":", path+".corrupt")
	}
	must(t, expect("kept", w.read(file+".corrupt"), broken))
	w.set(0, "Domains.Configuration", []string{"a.test"})
	w.end()
	must(t, inOrder(settingsLines(w.read(file)), "["+w.serviceID(0)+"]", "Domains=a.test"))
}

func TestMistakesInMainConfAreNamed(t *testing.T) {
	t.Parallel()
	mistakes := func(w *world, file string) {
		w.startOnline("-c", "/etc/connman/"+file)
		for _, m := range []string{
			"line 2: OnlineCheckMode", "line 3: Surprise unknown", "line 4: InputRequestTimeout", "line 6: [Strange] unknown",
		} {
			w.untilLogged(append(strings.Fields(m), "/etc/connman/"+file)...)
		}
		w.until("/run/names", func() error { // the rest is used
			return expect("/run/names", settingsLines(w.read("/run/names")), []string{"search home.test", "nameserver 127.0.0.1", "nameserver ::1"})
		})
	}
	t.Run("main.conf", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1, nil)
		w.configure("[General]\nOnlineCheckMode=sometimes\nSurprise=1\nInputRequestTimeout=soon\nResolvConf=/run/names\n[Strange]\nKey=1\n")
		mistakes(w, "main.conf")
	})
	t.Run("main.toml", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, 1, nil)
		must(t, w.Machine.WriteFile("/etc/connman/main.toml",
			"[General]\nOnlineCheckMode=\"sometimes\"\nSurprise=1\nInputRequestTimeout=\"soon\"\nResolvConf=\"/run/names\"\n[Strange]\nKey=1\n"))
		mistakes(w, "main.toml")
	})
}

// TestFullDiskIsSurvived: nothing can be saved, and nothing else suffers.
func TestFullDiskIsSurvived(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.shell(`mkdir -p /var/lib/connman; mount -t tmpfs -o size=64k tmpfs /var/lib/connman
		dd if=/dev/zero of=/var/lib/connman/ballast bs=4k 2>/dev/null || true; test -s /var/lib/connman/ballast`)
	w.startOnline()
	complaint := []string{"not saved", w.serviceID(0), "no space left"}
	w.untilLogged(complaint...)
	w.set(0, "Domains.Configuration", []string{"a.test"})
	w.untilState(0, "online")
	w.end() // which tries again, and says nothing new
	must(t, expect("complaints", count(w.logged(), complaint...), 1))

	w.start()
	w.untilState(0, "online")
	w.until("second complaint", func() error { return expect("complaints", count(w.logged(), complaint...), 2) })
	w.shell("rm /var/lib/connman/ballast")
	w.set(0, "Domains.Configuration", []string{"d.test"})
	w.until("settings", func() error {
		out, err := w.Machine.Output(catCommand(stateDir + w.serviceID(0) + "/settings"))
		if err != nil {
			return err
		}
		return inOrder(settingsLines(string(out)), "Domains=d.test")
	})
}

// print is what tells a written file from one that was left alone.
func (w *world) print(dir string) string {
	w.t.Helper()
	var all strings.Builder
	must(w.t, filepath.WalkDir(w.Machine.Path(dir), func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		fmt.Fprintln(&all, path, stat.Ino, stat.Mtim, stat.Size)
		return nil
	}))
	return all.String()
}

// TestFlapsWriteNothing: a loose plug must not wear out the flash.
func TestFlapsWriteNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	w.end() // and all is written
	w.start()
	w.untilState(0, "online")
	before := w.print(stateDir)
	if !strings.Contains(before, w.serviceID(0)+"/settings") {
		t.Fatal("nothing was saved in the first place")
	}
	for range 200 {
		must(t, w.Unplug())
		must(t, w.Plug())
	}
	w.untilState(0, "online")
	for range 3 {
		must(t, w.Unplug())
		w.untilState(0, "")
		must(t, w.Plug())
		w.untilState(0, "online")
	}
	w.end() // what was kept back would be written now
	must(t, expect("state directory", w.print(stateDir), before))
}

// TestSavedServicesAreReadWhenTheirNetworkIsThere: of a thousand saved services
// only the one that is there is looked at, as the others' ruined files show.
func TestSavedServicesAreReadWhenTheirNetworkIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	for i := range 1000 {
		must(t, w.Machine.WriteFile(fmt.Sprintf("%sethernet_0288000%05d_cable/settings", stateDir, i), "ruined"))
	}
	must(t, w.Machine.WriteFile(stateDir+w.serviceID(0)+"/settings",
		"["+w.serviceID(0)+"]\nName=Wired\nAutoConnect=true\nModified=2026-11-22T08:00:05Z\nDomains=mine.test;\n"))
	before := w.print(stateDir + "ethernet_028800000999_cable")
	w.startOnline()
	must(t, expect("Domains", text(w.service(0)["Domains"]), "[mine.test]"))
	must(t, expect("services", w.order(), "eth0"))
	w.end()
	if n := count(w.logged(), "corrupt"); n != 0 {
		t.Error(errors.New("files of networks that are not there were read"))
	}
	must(t, expect("another's files", w.print(stateDir+"ethernet_028800000999_cable"), before))
}

// TestAnsweredSettingsSurviveAKill kills the daemon as soon as it has answered:
// whoever heard the answer may rely on it.
func TestAnsweredSettingsSurviveAKill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	for _, domain := range []string{"one.test", "two.test", "three.test", "four.test", "five.test"} {
		file := stateDir + w.serviceID(0) + "/settings"
		w.set(0, "Domains.Configuration", []string{domain})
		w.daemon.Kill()
		if got := w.read(file); !strings.Contains(got, "Domains="+domain) {
			t.Errorf("answered, killed, and the file holds\n%s", got)
		}
		w.start()
		w.untilState(0, "online")
	}
}
