package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// VPN is the VPN daemon of this project, from the directory CONNMAN_BIN.
func VPN() Manager {
	return Manager{
		Name:    "connman-vpnd",
		Path:    filepath.Join(os.Getenv("CONNMAN_BIN"), "connman-vpnd"),
		BusName: "net.connman.vpn",
		args:    []string{"-n"},
		prepare: func(h *Host) error { return h.overlay("/usr/sbin", "openvpn/usr/sbin") },
	}
}

// ReferenceVPN is the original VPN daemon, as Debian has it, below
// CONNMAN_REFERENCE. It looks for its plugins and for openvpn where Debian
// installs them.
func ReferenceVPN() Manager {
	const libraries = "/usr/lib/x86_64-linux-gnu"
	return Manager{
		Name:    "connman-vpnd 1.41",
		Path:    referencePath("connman-vpn/usr/sbin/connman-vpnd"),
		BusName: "net.connman.vpn",
		args:    []string{"-n"},
		prepare: func(h *Host) error {
			if err := h.overlay(libraries, "connman-vpn"+libraries); err != nil {
				return err
			}
			return h.overlay("/usr/sbin", "openvpn/usr/sbin")
		},
	}
}

// overlay shows a host what is below a directory of the reference as if it were
// installed in dir.
func (h *Host) overlay(dir, reference string) error {
	layers := "lowerdir=" + referencePath(reference) + ":" + dir
	err := h.Do(func() error { return syscall.Mount("overlay", dir, "overlay", syscall.MS_RDONLY, layers) })
	if err != nil {
		return fmt.Errorf("cannot show %s the files of %s: %w", h.Name, reference, err)
	}
	return nil
}
