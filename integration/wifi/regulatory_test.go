//go:build vm

package wifi

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

const timeZone = "/etc/localtime"

// moveTo puts the machine into a time zone.
func (s *session) moveTo(zone string) {
	s.t.Helper()
	link := s.machine.Path(timeZone)
	if err := os.Remove(link + ".new"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.t.Fatal(err)
	}
	must(s.t, os.Symlink(zone, link+".new"))
	must(s.t, os.Rename(link+".new", link))
}

// iw runs the kernel's tool for wireless links.
func (s *session) iw(args ...string) (string, error) {
	out, err := s.machine.Output(exec.Command(peer("iw/sbin/iw"), args...))
	return string(out), err
}

// wantRules waits until the kernel keeps a country's rules for radios.
func (s *session) wantRules(country string) {
	s.t.Helper()
	must(s.t, lab.Eventually(patience, func() error { // no signal tells of it
		rules, err := s.iw("reg", "get")
		if err == nil && !strings.Contains(rules, "global\ncountry "+country) {
			err = fmt.Errorf("not the rules of %s:\n%s", country, rules)
		}
		return err
	}))
}

// Radios keep the rules of the country that the machine's clock tells, when they are
// to, and those of another one as soon as it is there. The kernel knows the rules from
// its database; they hold for all radios, so no other test may run meanwhile.
func TestCountry(t *testing.T) {
	s := begin(t, lab.Ours())
	before, err := os.Readlink(s.machine.Path(timeZone))
	must(t, err)
	t.Cleanup(func() {
		s.moveTo(before)
		if _, err := s.iw("reg", "set", "00"); err != nil {
			t.Error(err)
		}
		s.wantRules("00: ")
	})
	s.configure("RegdomFollowsTimezone=true")
	s.moveTo("/usr/share/zoneinfo/Europe/Berlin")
	s.run()
	s.wantRules("DE: DFS-ETSI")
	s.moveTo("/usr/share/zoneinfo/Asia/Tokyo")
	s.wantRules("JP: DFS-JP")
	s.accessPoint("wlan1", pskNetwork("Office", "correct horse"))
	s.join("Office", "psk")
}
