package lab

import (
	"fmt"
	"net"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// End is one end of a cable: an interface of a host.
type End struct {
	Host *Host
	Link netlink.Link
}

// Name is the interface's name.
func (e End) Name() string { return e.Link.Attrs().Name }

// Index is the interface's index.
func (e End) Index() int { return e.Link.Attrs().Index }

// Up brings the interface up; the carrier of the other end follows.
func (e End) Up() error { return e.Host.Netlink.LinkSetUp(e.Link) }

// Down takes the interface down, and with it the carrier of the other end:
// for that one the cable was pulled.
func (e End) Down() error { return e.Host.Netlink.LinkSetDown(e.Link) }

// Told objects as long as the kernel has not told of the interface's carrier,
// which it does a little after the carrier came or went.
func (e End) Told() error {
	link, err := e.Host.Netlink.LinkByIndex(e.Index())
	if err != nil {
		return err
	}
	carrier := link.Attrs().RawFlags&unix.IFF_LOWER_UP != 0
	if state := link.Attrs().OperState; (state == netlink.OperUp) != carrier {
		return fmt.Errorf("%s is still said to be %v", e.Name(), state)
	}
	return nil
}

// AddAddr gives the interface an address, such as "192.0.2.1/24".
func (e End) AddAddr(prefix string) error {
	addr, err := netlink.ParseAddr(prefix)
	if err != nil {
		return err
	}
	return e.Host.Netlink.AddrAdd(e.Link, addr)
}

// Cable joins two hosts by a new pair of interfaces, both down. The hardware
// address of the first is mac; nil lets the kernel choose.
func (l *Lab) Cable(a *Host, nameA string, mac net.HardwareAddr, b *Host, nameB string) (End, End, error) {
	fail := func(err error) (End, End, error) {
		return End{}, End{}, fmt.Errorf("cannot lay a cable from %s of %s to %s of %s: %w", nameA, a.Name, nameB, b.Name, err)
	}
	fd, err := b.netns()
	if err != nil {
		return fail(err)
	}
	defer unix.Close(fd)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = nameA
	attrs.HardwareAddr = mac
	err = a.Netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: nameB, PeerNamespace: netlink.NsFd(fd)})
	if err != nil {
		return fail(err)
	}
	endA, err := a.end(nameA)
	if err != nil {
		return fail(err)
	}
	endB, err := b.end(nameB)
	if err != nil {
		return fail(err)
	}
	return endA, endB, nil
}

// netns opens the host's network namespace.
func (h *Host) netns() (int, error) {
	fd := -1
	err := h.Do(func() (err error) {
		fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func (h *Host) end(name string) (End, error) {
	link, err := h.Netlink.LinkByName(name)
	return End{Host: h, Link: link}, err
}

// Bridge adds a switch to the host, up, with the given address.
func (h *Host) Bridge(name, prefix string) (End, error) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	err := h.Netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs})
	if err != nil {
		return End{}, fmt.Errorf("cannot add bridge %s to %s: %w", name, h.Name, err)
	}
	end, err := h.end(name)
	if err == nil {
		err = end.AddAddr(prefix)
	}
	if err == nil {
		err = end.Up()
	}
	return end, err
}

// FullChecksums makes the interface compute the checksums of what it sends. A
// virtual cable leaves them to hardware that isn't there, so a receiver that
// reads packets raw sees wrong ones.
func (e End) FullChecksums() error {
	const (
		siocEthtool    = 0x8946
		ethtoolSTxCsum = 0x17
	)
	value := struct{ command, data uint32 }{ethtoolSTxCsum, 0}
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte
	}
	copy(request.name[:unix.IFNAMSIZ-1], e.Name())
	request.data = unsafe.Pointer(&value)
	return e.Host.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), siocEthtool, uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			return fmt.Errorf("cannot switch off checksum offload of %s: %w", e.Name(), errno)
		}
		return nil
	})
}
