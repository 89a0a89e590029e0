//go:build netns

package tunnel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	"net.connman/integration/lab"
)

const (
	groupName   = "office"
	groupSecret = "looking-glass-9"
)

// charonConfig has strongSwan's daemon do IPsec by itself, since not every
// machine's kernel does.
const charonConfig = `charon {
  load = random nonce aes sha1 sha2 md5 hmac kdf gmp vici kernel-libipsec kernel-netlink socket-default xauth-generic updown attr unity
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  install_routes = no
  cisco_unity = yes
  filelog {
    stderr {
      default = 1
    }
  }
  plugins {
    vici {
      socket = unix:///run/vici
    }
    kernel-libipsec {
      allow_peer_ts = yes
    }
    attr {
      28674 = corp.test
    }
  }
}
swanctl {
  load = random nonce aes sha1 sha2 md5 hmac pem pkcs1 x509 vici
  socket = unix:///run/vici
}
`

// connections has the server take one group and one user.
const connections = `connections {
  office {
    version = 1
    aggressive = yes
    proposals = aes256-sha1-modp1024
    encap = yes
    local_addrs = ` + serverIP + `
    pools = office
    dpd_delay = 5s
    local {
      auth = psk
      id = ` + serverIP + `
    }
    remote {
      auth = psk
      id = keyid:` + groupName + `
    }
    remote-2 {
      auth = xauth
    }
    children {
      office {
        local_ts = 10.10.0.0/16
        esp_proposals = aes256-sha1
      }
    }
  }
}
pools {
  office {
    addrs = 192.168.77.10-192.168.77.20
    dns = 10.10.0.1
  }
}
secrets {
  ike-office {
    secret = ` + groupSecret + `
  }
  xauth-user {
    id = ` + userName + `
    secret = ` + password + `
  }
}
`

// showStrongSwan lets the host see strongSwan where its programs look for
// themselves and their plugins.
func showStrongSwan() error {
	lower := ""
	for _, pkg := range []string{
		"libstrongswan", "libcharon-extauth-plugins", "libcharon-extra-plugins", "strongswan-charon", "strongswan-libcharon",
		"strongswan-swanctl",
	} {
		lower += peer(pkg+"/usr/lib") + ":"
	}
	return unix.Mount("overlay", "/usr/lib", "overlay", unix.MS_RDONLY, "lowerdir="+lower+"/usr/lib")
}

// startCharon runs a server for vpnc, with a host behind it.
func (w *world) startCharon() *lab.Process {
	w.t.Helper()
	must(w.t, w.server.WriteFile("/run/strongswan.conf", charonConfig))
	must(w.t, w.server.WriteFile("/run/swanctl.conf", connections))
	must(w.t, w.server.Do(showStrongSwan))
	_, err := w.server.Output(exec.Command("ip", "addr", "add", "10.10.0.1/16", "dev", "lo"))
	must(w.t, err)
	return w.runCharon()
}

// runCharon runs the server, once more if need be.
func (w *world) runCharon() *lab.Process {
	w.t.Helper()
	_ = os.Remove(w.server.Path("/run/vici")) // of one that was killed
	start := exec.Command("/usr/lib/ipsec/charon")
	start.Env = append(os.Environ(), "STRONGSWAN_CONF=/run/strongswan.conf")
	p, err := w.server.Start(start)
	must(w.t, err)
	must(w.t, lab.Eventually(patience, func() error {
		_, err := os.Stat(w.server.Path("/run/vici"))
		return err
	}))
	load := exec.Command(peer("strongswan-swanctl/usr/sbin/swanctl"), "--load-all", "--file", "/run/swanctl.conf")
	load.Env = start.Env
	out, err := w.server.Output(load)
	if err != nil {
		w.t.Fatalf("swanctl: %v\n%s", err, out)
	}
	_, err = w.server.Output(exec.Command("ip", "route", "add", "192.168.77.0/24", "dev", "ipsec0"))
	must(w.t, err)
	return p
}

var vpncSettings = map[string]string{"VPNC.IPSec.ID": groupName, "VPNC.NATTMode": "force-natt"}

// TestVPNC connects with what the agent says and has it saved, sends something
// through the tunnel and takes it down.
func TestVPNC(t *testing.T) {
	w := newWorld(t)
	w.startCharon()
	c := w.create("vpnc", vpncSettings)
	w.agent.will(map[string]string{
		"VPNC.IPSec.Secret": groupSecret, "VPNC.Xauth.Username": userName, "VPNC.Xauth.Password": password,
		"SaveCredentials": "true",
	})
	must(t, w.connect(c))
	p := w.properties(c)
	if !strings.Contains(p["Nameservers"].String(), "10.10.0.1") || !strings.Contains(p["ServerRoutes"].String(), "10.10.0.0") {
		t.Error("the server's configuration is missing", p)
	}
	w.configure(c)
	w.route(c, "10.10.0.0/16")
	w.passes("10.10.0.1")
	w.secretsKept(groupSecret, password)
	must(t, w.call(c, "Connection.Disconnect").Err)
	w.untilState(c, "idle")
	w.leavesNothing()
	w.agent.will()
	must(t, w.connect(c))
	if asked := w.agent.questions(); len(asked) > 0 {
		t.Error("asked again", asked)
	}
	w.daemon.Kill()
	w.await(false)
	w.start()
	w.leavesNothing()
}

// TestVPNCRefused has the group's secret wrong, then the user's, then nothing.
func TestVPNCRefused(t *testing.T) {
	w := newWorld(t)
	w.startCharon()
	c := w.create("vpnc", vpncSettings)
	right := map[string]string{
		"VPNC.IPSec.Secret": groupSecret, "VPNC.Xauth.Username": userName, "VPNC.Xauth.Password": password,
	}
	for _, wrong := range []string{"VPNC.IPSec.Secret", "VPNC.Xauth.Password"} {
		answer := map[string]string{wrong: "rabbit-hole"}
		for key, value := range right {
			if key != wrong {
				answer[key] = value
			}
		}
		w.agent.will(answer)
		if err := w.connect(c); !isError(err, "PermissionDenied") {
			t.Error(wrong, err)
		}
		w.untilState(c, "failure")
		w.leavesNothing()
	}
	w.agent.will(right)
	must(t, w.connect(c))
}

// TestVPNCNoServer finds nobody.
func TestVPNCNoServer(t *testing.T) {
	w := newWorld(t)
	settings := map[string]string{"VPNC.IPSec.Secret": groupSecret, "VPNC.Xauth.Username": userName, "VPNC.Xauth.Password": password}
	for key, value := range vpncSettings {
		settings[key] = value
	}
	c := w.create("vpnc", settings)
	if err := w.connect(c); err == nil {
		t.Error("connected to nobody")
	}
	w.untilState(c, "failure")
	w.leavesNothing()
}

// TestVPNCServerGone has the server leave in good order, and without a word, and
// come back: so does the tunnel, by itself.
func TestVPNCServerGone(t *testing.T) {
	h, _ := newHouse(t)
	server := h.startCharon()
	settings := map[string]string{"VPNC.IPSec.Secret": groupSecret, "VPNC.Xauth.Username": userName, "VPNC.Xauth.Password": password, "VPNC.DPDTimeout": "10"}
	for key, value := range vpncSettings {
		settings[key] = value
	}
	id := "vpn_" + filepath.Base(string(h.create("vpnc", settings)))
	h.untilService(id, "idle")
	must(t, h.service(id, "Connect").Err)
	h.untilService(id, "ready", "online")
	h.crosses("10.10.0.1", "connected")
	for how, leave := range map[string]func(){
		"stopped": func() { must(t, server.Stop(patience)) },
		"killed":  func() { server.Kill() },
	} {
		leave()
		must(t, lab.Eventually(2*patience, func() error {
			if h.routes() == "" || strings.Contains(h.routes(), "10.10.0.0/16") {
				return fmt.Errorf("%s: the routes are\n%s", how, h.routes())
			}
			return nil
		}))
		server = h.runCharon()
		h.crosses("10.10.0.1", "the server was "+how+" and is back")
		h.untilService(id, "ready", "online")
	}
	must(t, h.service(id, "Disconnect").Err)
	h.untilService(id, "idle")
	h.leavesNothing()
}
