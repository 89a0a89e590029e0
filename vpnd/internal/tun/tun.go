package tun

import (
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kind says what a link carries.
type Kind uint16

const (
	// Tun carries IP packets.
	Tun Kind = unix.IFF_TUN
	// Tap carries Ethernet frames.
	Tap Kind = unix.IFF_TAP
)

// Link is a link that Create made.
type Link struct {
	Name  string
	Index int
}

const (
	device   = "/dev/net/tun"
	maxLinks = 256
	// mark begins the alias of our links; the connection's identifier follows.
	mark = "connman-vpn "
	// exclusive has the kernel make a new link rather than attach us to one:
	// IFF_TUN_EXCL of linux/if_tun.h.
	exclusive = 0x8000
)

// Create makes a link, down, that processes of the user owner may attach to. id
// is the connection's.
func Create(kind Kind, owner uint32, id string) (Link, error) {
	name, err := create(kind, owner)
	if err != nil {
		return Link{}, fmt.Errorf("cannot make a tunnel link: %w", err)
	}
	made, err := Find(name)
	if err != nil {
		return Link{}, err
	}
	if err := netlink.LinkSetAlias(made.device(), mark+id); err != nil {
		return Link{}, errors.Join(fmt.Errorf("cannot mark %s: %w", name, err), Remove(made))
	}
	return made, nil
}

// create makes a link with the first name that is free. See
// Documentation/networking/tuntap.rst of the kernel.
func create(kind Kind, owner uint32) (string, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("%s: %w", device, err)
	}
	defer unix.Close(fd)
	for n := range maxLinks {
		name := fmt.Sprintf("vpn%d", n)
		request, err := unix.NewIfreq(name)
		if err != nil {
			return "", err
		}
		request.SetUint16(uint16(kind) | unix.IFF_NO_PI | exclusive)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, request)
		if errors.Is(err, unix.EBUSY) || errors.Is(err, unix.EINVAL) { // the name is a tunnel's, or another link's
			continue
		}
		if err == nil {
			err = unix.IoctlSetInt(fd, unix.TUNSETOWNER, int(owner))
		}
		if err == nil {
			err = unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1)
		}
		return name, err // without persistence it vanishes with fd
	}
	return "", fmt.Errorf("none of %d names is free", maxLinks)
}

// FindPPP finds a link that pppd has made by itself. Others it must not name: they
// would be configured as a tunnel.
func FindPPP(name string) (Link, error) {
	if err := checkPPP(name); err != nil {
		return Link{}, fmt.Errorf("cannot use the link %q: %w", name, err)
	}
	return Find(name)
}

// checkPPP objects to links of other kinds.
func checkPPP(name string) error {
	kind, err := ask(unix.SIOCGIFHWADDR, name)
	if err == nil && kind.Uint16() != unix.ARPHRD_PPP {
		err = errors.New("it is not pppd's")
	}
	return err
}

// Find finds a link that somebody else has made, as if_nametoindex(3) does: netlink
// would tell all about it, which takes ten times as long.
func Find(name string) (Link, error) {
	answer, err := ask(unix.SIOCGIFINDEX, name)
	if err != nil {
		return Link{}, fmt.Errorf("cannot find the link %q: %w", name, err)
	}
	return Link{Name: name, Index: int(answer.Uint32())}, nil
}

// ask asks the kernel about a link, see netdevice(7).
func ask(what uint, name string) (*unix.Ifreq, error) {
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return request, unix.IoctlIfreq(fd, what, request)
}

// device is the link as netlink takes it, found by its index alone.
func (l Link) device() netlink.Link {
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: l.Index}}
}

// Up brings the link up.
func (l Link) Up() error {
	if err := netlink.LinkSetUp(l.device()); err != nil {
		return fmt.Errorf("cannot bring up %s: %w", l.Name, err)
	}
	return nil
}

// Remove takes the link away, whoever is attached to it. It is no error if it is
// gone.
func Remove(l Link) error {
	err := netlink.LinkDel(l.device())
	if err != nil && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("cannot remove %s: %w", l.Name, err)
	}
	return nil
}

// Clean removes the links that an earlier run of the daemon left.
func Clean() error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("cannot look for old tunnel links: %w", err)
	}
	var errs []error
	for _, link := range links {
		attrs := link.Attrs()
		if link.Type() == "tuntap" && strings.HasPrefix(attrs.Alias, mark) {
			errs = append(errs, Remove(Link{Name: attrs.Name, Index: attrs.Index}))
		}
	}
	return errors.Join(errs...)
}
