package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// devType returns the DEVTYPE that the driver of a link gave it, "" if none. A
// link of before device types that has wireless extensions counts as wlan.
// Virtual links have a kind instead, which spares reading hundreds of files.
func devType(l Link) string {
	if l.Kind != "" || l.Type != TypeEther || !fileName(l.Name) {
		return ""
	}
	dir := filepath.Join("/sys/class/net", l.Name)
	text, err := os.ReadFile(filepath.Join(dir, "uevent"))
	if err != nil {
		return "" // the link is gone or was renamed: then a message follows
	}
	found, ours := "", false
	for line := range bytes.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), "=")
		switch key {
		case "DEVTYPE":
			found = value
		case "IFINDEX":
			ours = value == strconv.Itoa(l.Index)
		}
	}
	if !ours {
		return "" // another network namespace's
	}
	if found == "" {
		if _, err := os.Stat(filepath.Join(dir, "wireless")); err == nil {
			return "wlan"
		}
	}
	return found
}

// SetSysctl implements [Kernel].
func (n *Netlink) SetSysctl(f Family, link, key, value string) error {
	fd, err := openSysctl(f, link, key, unix.O_WRONLY)
	if err == nil {
		_, err = unix.Write(fd, []byte(value))
		unix.Close(fd)
	}
	if err != nil {
		return fmt.Errorf("cannot set %s of link %q: %w", key, link, err)
	}
	return nil
}

// Sysctl implements [Kernel].
func (n *Netlink) Sysctl(f Family, link, key string) (string, error) {
	var text [64]byte // all that we read are numbers
	read := 0
	fd, err := openSysctl(f, link, key, unix.O_RDONLY)
	if err == nil {
		read, err = unix.Read(fd, text[:])
		unix.Close(fd)
	}
	if errors.Is(err, unix.ENOENT) {
		err = ErrNotFound
	}
	if err != nil {
		return "", fmt.Errorf("cannot read %s of link %q: %w", key, link, err)
	}
	return string(bytes.TrimSpace(text[:read])), nil
}

// openSysctl opens a setting's file; with an [os.File] a crowd of links would
// leave megabytes of litter.
func openSysctl(f Family, link, key string, mode int) (fd int, err error) {
	if !fileName(link) || !fileName(key) {
		return -1, errors.New("not a name")
	}
	return unix.Open("/proc/sys/net/"+string(f)+"/conf/"+link+"/"+key, mode|unix.O_CLOEXEC, 0)
}

// The values of rp_filter (the kernel's ip-sysctl document). Of a link's own
// and that of "all" the greater one counts.
const (
	strictFilter = "1"
	looseFilter  = "2"
)

// LoosenFilter implements [Kernel].
func (n *Netlink) LoosenFilter(link string) error {
	effective := ""
	for _, of := range []string{"all", link} {
		value, err := n.Sysctl(IPv4, of, "rp_filter")
		if err != nil {
			return err
		}
		effective = max(effective, value)
	}
	if effective != strictFilter {
		return nil
	}
	return n.SetSysctl(IPv4, link, "rp_filter", looseFilter)
}

// fileName reports whether s names an entry of a folder: a link's name may
// contain dots, but must not lead elsewhere.
func fileName(s string) bool {
	return s != "" && s != "." && s != ".." && !strings.ContainsAny(s, "/\x00")
}
