//go:build netns

package ipv6

import (
	"os"
	"strings"
	"testing"

	"net.connman/integration/lab"
)

// provision replaces the provisioning file as editors do: beside and renamed.
func (w *world) provision(lines string) {
	w.t.Helper()
	must(w.t, w.machine.WriteFile("/var/lib/connman/.new", "[service_wire]\nType=ethernet\nMAC=02:77:06:00:00:00\n"+lines))
	must(w.t, os.Rename(w.machine.Path("/var/lib/connman/.new"), w.machine.Path("/var/lib/connman/wire.config")))
}

// The keys IPv6 and IPv6.Privacy of provisioning files, one file after the
// other, as clients show what comes of them. With the reference daemon the
// configuration is the same; what it puts into use is sometimes of the file
// before.
func TestProvisioning(t *testing.T) {
	t.Parallel()
	const auto = "[ Method=auto, Address=" + slaac + ", PrefixLength=64, Gateway=GATEWAY, Privacy=PRIVACY ]"
	steps := []struct{ file, inUse, configured string }{
		{"IPv6=off\n", "[  ]", "[ Method=off ]"},
		{"IPv6=auto\nIPv6.Privacy=preferred\n",
			strings.Replace(auto, "PRIVACY", "prefered", 1), "[ Method=auto, Privacy=prefered ]"},
		{"IPv6=auto\nIPv6.Privacy=enabled\n",
			strings.Replace(auto, "PRIVACY", "enabled", 1), "[ Method=auto, Privacy=enabled ]"},
		{"IPv6=2001:db8:1::42/64/" + router1 + "\n",
			"[ Method=fixed, Address=2001:db8:1::42, PrefixLength=64, Gateway=" + router1 + ", Privacy=disabled ]",
			"[ Method=fixed, Address=2001:db8:1::42, PrefixLength=64, Gateway=" + router1 + ", Privacy=disabled ]"},
		{"IPv6=2001:db8:1::44/64\n",
			"[ Method=fixed, Address=2001:db8:1::44, PrefixLength=64, Privacy=disabled ]",
			"[ Method=fixed, Address=2001:db8:1::44, PrefixLength=64, Privacy=disabled ]"},
		{"IPv6=auto\n",
			strings.Replace(auto, "PRIVACY", "disabled", 1), "[ Method=auto, Privacy=disabled ]"},
	}
	for _, m := range []lab.Manager{lab.Ours(), lab.Reference()} {
		t.Run(m.Name, func(t *testing.T) {
			w := newWorld(t)
			w.dnsmasq(both)
			router := w.linkLocal(w.bridge).String()
			w.run(m)
			w.waitState("ready")
			for _, step := range steps {
				w.provision(step.file)
				want := []string{"  IPv6 = " + strings.Replace(step.inUse, "GATEWAY", router, 1), "  IPv6.Configuration = " + step.configured}
				if m.Name == lab.Reference().Name {
					want = want[1:]
				}
				if err := lab.Eventually(patience, func() error { return w.showsLines(clients()["ours"], want) }); err != nil {
					t.Fatalf("with %q: %v", step.file, err)
				}
			}
			w.waitState("ready")
		})
	}
}

// A provisioned address that another machine has is not used; the service lives
// on IPv4 and takes the next address that the file names.
func TestProvisionedDuplicate(t *testing.T) {
	w := newWorld(t)
	w.addAddr(w.bridge, "2001:db8:1::42/64")
	w.dnsmasq(both)
	w.start()
	w.waitState("ready")
	w.provision("IPv6=2001:db8:1::42/64/" + router1 + "\n")
	w.waitConflict("2001:db8:1::42")
	w.waitState("ready")
	w.provision("IPv6=2001:db8:1::43/64/" + router1 + "\n")
	w.waitAddress("2001:db8:1::43")
}
