//go:build vm

package wifi

import (
	"fmt"
	"testing"

	"github.com/godbus/dbus/v5"

	"net.connman/integration/lab"
)

// The machine gets another adapter. Its services have other names, and are known from
// the old one's where the configuration says so: then it is back in its network by
// itself. Otherwise it begins anew.
func TestAnotherAdapter(t *testing.T) {
	for _, follow := range []bool{true, false} {
		t.Run(fmt.Sprintf("SettingsFollowNetwork=%t", follow), func(t *testing.T) {
			t.Parallel()
			s := begin(t, lab.Ours())
			s.configure(fmt.Sprintf("SettingsFollowNetwork=%t", follow))
			s.run()
			s.accessPoint("wlan1", pskNetwork("Study", "correct horse"))
			old := s.join("Study", "psk")

			must(t, s.pull(0))
			t.Cleanup(func() { must(t, s.plug(0)) })
			s.wantSeen(old, false)
			must(t, s.plug(radios))
			t.Cleanup(func() { must(t, s.pull(radios)) })
			path := s.path("Study", "psk")
			if path == old {
				t.Fatal("the adapter is the same")
			}
			s.wantSeen(path, true)
			if follow {
				s.connected("Study", "psk")
			}
			p, err := s.properties(path, "Service")
			must(t, err)
			for _, key := range []string{"Favorite", "AutoConnect"} {
				if p[key].Value() != follow {
					t.Errorf("%s is %v, want %t", key, p[key], follow)
				}
			}
			err = s.call(path, "net.connman.Service.Connect").Err
			want := "net.connman.Error.NotRegistered" // nobody is there to ask for the passphrase
			if follow {
				want = "net.connman.Error.AlreadyConnected"
			}
			if got, _ := err.(dbus.Error); got.Name != want {
				t.Errorf("connecting: %v, want %s", err, want)
			}
		})
	}
}
