package lab

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
)

// Manager is a network manager that hosts can run.
type Manager struct {
	// Name is for people.
	Name string
	// Path is the daemon's program.
	Path string
	// BusName is the name it takes on the bus.
	BusName string

	args    []string
	files   map[string]string
	prepare func(*Host) error // may be nil
}

// Installed says whether the program is there.
func (m Manager) Installed() bool {
	_, err := os.Stat(m.Path)
	return err == nil
}

// Connman says whether the daemon speaks net.connman.
func (m Manager) Connman() bool { return m.BusName == "net.connman" }

// connmanFiles is the least a connmand needs: 1.41 takes the addresses of the
// online check from its built-in defaults only when it has read a file.
var connmanFiles = map[string]string{"/etc/connman/main.conf": "[General]\n"}

// Ours is the daemon of this project, from the directory CONNMAN_BIN.
func Ours() Manager {
	return Manager{
		Name:    "connmand",
		Path:    filepath.Join(os.Getenv("CONNMAN_BIN"), "connmand"),
		BusName: "net.connman",
		args:    []string{"-n"},
		files:   connmanFiles,
	}
}

// Reference is the original, as Debian has it, below CONNMAN_REFERENCE.
func Reference() Manager {
	return Manager{
		Name:    "connman 1.41",
		Path:    referencePath("connman/usr/sbin/connmand"),
		BusName: "net.connman",
		args:    []string{"-n"},
		files:   connmanFiles,
	}
}

// NetworkManager manages every Ethernet link by DHCP.
func NetworkManager() Manager {
	const profile = "/etc/NetworkManager/system-connections/wired.nmconnection"
	return Manager{
		Name:    "NetworkManager",
		Path:    referencePath("network-manager/usr/sbin/NetworkManager"),
		BusName: "org.freedesktop.NetworkManager",
		args:    []string{"-n"},
		files: map[string]string{
			"/etc/NetworkManager/NetworkManager.conf": `[main]
plugins=keyfile
auth-polkit=false
dhcp=internal
[connectivity]
uri=http://ipv4.connman.net/online/status.html
response=
[logging]
level=WARN
`,
			profile: `[connection]
id=wired
uuid=6b8b4567-327b-43c6-843c-98690000ab01
type=ethernet
multi-connect=3
autoconnect=true
[ipv4]
method=auto
[ipv6]
method=disabled
`,
		},
		// It ignores profiles that others could read.
		prepare: func(h *Host) error { return os.Chmod(h.Path(profile), 0o600) },
	}
}

// Networkd manages every link called eth… by DHCP.
func Networkd() Manager {
	return Manager{
		Name:    "systemd-networkd",
		Path:    "/lib/systemd/systemd-networkd",
		BusName: "org.freedesktop.network1",
		files: map[string]string{
			"/etc/systemd/network/10-wired.network": `[Match]
Name=eth*
[Network]
DHCP=ipv4
LinkLocalAddressing=no
IPv6AcceptRA=no
`,
		},
		prepare: prepareNetworkd,
	}
}

// prepareNetworkd makes the directories that are there before the daemon gives
// up root.
func prepareNetworkd(h *Host) error {
	account, err := user.Lookup("systemd-network")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	for _, dir := range []string{"/run/systemd/netif", "/run/systemd/netif/links", "/run/systemd/netif/leases", "/run/systemd/netif/lldp"} {
		if err := os.MkdirAll(h.Path(dir), 0o755); err != nil {
			return err
		}
		if err := os.Chown(h.Path(dir), uid, gid); err != nil {
			return err
		}
	}
	return nil
}

func referencePath(path string) string {
	return filepath.Join(os.Getenv("CONNMAN_REFERENCE"), path)
}

// Run starts the daemon on a host. More arguments follow its usual ones.
func (m Manager) Run(h *Host, bus *Bus, more ...string) (*Process, error) {
	for path, text := range m.files {
		if _, err := os.Stat(h.Path(path)); err == nil {
			continue // the test wrote its own
		}
		if err := h.WriteFile(path, text); err != nil {
			return nil, err
		}
	}
	if m.prepare != nil {
		if err := m.prepare(h); err != nil {
			return nil, fmt.Errorf("cannot prepare %s for %s: %w", h.Name, m.Name, err)
		}
	}
	cmd := exec.Command(m.Path, append(slices.Clone(m.args), more...)...)
	cmd.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+bus.Address)
	return h.Start(cmd)
}
