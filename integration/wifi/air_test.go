//go:build vm

package wifi

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"net.connman/integration/lab"
)

// What the simulator is asked by generic netlink, and with which attributes
// (drivers/net/wireless/mac80211_hwsim.h).
const (
	newRadio = 4
	delRadio = 5

	attrRadioName = 17
	attrPermAddr  = 22
)

// Radios hear those only that were made in the same network namespace, wherever
// they are later: so each house has air of its own.

// makeRadio makes a radio in a host. Its link is the first wlan that is free there.
func makeRadio(h *lab.Host, name string, address net.HardwareAddr) error {
	err := askSimulator(h, newRadio, nl.NewRtAttr(attrRadioName, []byte(name)), nl.NewRtAttr(attrPermAddr, address))
	if err != nil {
		return fmt.Errorf("cannot make radio %s: %w", name, err)
	}
	return nil
}

// pullRadio takes a radio from the host that has it, as when an adapter is pulled.
func pullRadio(h *lab.Host, name string) error {
	if err := askSimulator(h, delRadio, nl.NewRtAttr(attrRadioName, []byte(name))); err != nil {
		return fmt.Errorf("cannot pull radio %s: %w", name, err)
	}
	return nil
}

func askSimulator(h *lab.Host, command uint8, attributes ...*nl.RtAttr) error {
	return h.Do(func() error {
		family, err := netlink.GenlFamilyGet("MAC80211_HWSIM")
		if err != nil {
			return fmt.Errorf("no mac80211_hwsim: %w", err)
		}
		request := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
		request.AddData(&nl.Genlmsg{Command: command, Version: 1})
		for _, a := range attributes {
			request.AddData(a)
		}
		_, err = request.Execute(unix.NETLINK_GENERIC, 0)
		// A new radio's number is in the place of an error, with the other sign.
		var number syscall.Errno
		if errors.As(err, &number) && int(number) < 0 {
			return nil
		}
		return err
	})
}

// moveRadio takes a radio with its link from one host to another.
func moveRadio(from, to *lab.Host, name string) error {
	// A network namespace goes by the number of a thread in it.
	var thread int
	if err := to.Do(func() error { thread = unix.Gettid(); return nil }); err != nil {
		return err
	}
	if _, err := from.Output(exec.Command(peer("iw/sbin/iw"), "phy", name, "set", "netns", strconv.Itoa(thread))); err != nil {
		return fmt.Errorf("cannot move radio %s: %w", name, err)
	}
	return nil
}

// setSignal says how strong what a radio sends arrives, in dBm. A machine hears
// networks well above -65; the least is -80.
func setSignal(name string, dBm int) error {
	const power = 20 // that it sends with, and the simulator adds
	file := filepath.Join("/sys/kernel/debug/ieee80211", name, "hwsim/rx_rssi")
	// The kernel reads numbers without a sign.
	if err := os.WriteFile(file, strconv.AppendUint(nil, uint64(dBm-power), 10), 0); err != nil {
		return fmt.Errorf("cannot set the signal of radio %s: %w", name, err)
	}
	return nil
}
