package vpnimport

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"net.connman/pkg/keyfile"
)

const (
	// StateDir is where the daemon keeps provisioning files.
	StateDir = "/var/lib/connman-vpn"
	// MaxSize is how long a file may be, in bytes, and what it refers to.
	MaxSize = 1 << 20
	// maxName is what is left of a file's name.
	maxName = 64
)

// Profile is a VPN, ready to be given to the daemon.
type Profile struct {
	// Name is that of the provisioning file, without ending: letters, digits,
	// dashes and underscores.
	Name string
	// Config is the provisioning file.
	Config string
	// Files are those that Config refers to, by their names in the directory
	// StateDir/Name.
	Files map[string]string
	// Warnings say what was left out, a line each.
	Warnings []string
}

// Read reads a profile. The name of its file says what it is: wg-quick's end in
// .conf, OpenVPN's in .ovpn; of a .conf the content decides. Files that it refers
// to are read with open, which knows relative names as the file means them. The
// error tells the line that is wrong, never a secret.
func Read(file string, text []byte, open func(name string) ([]byte, error)) (Profile, error) {
	if len(text) > MaxSize {
		return Profile{}, fmt.Errorf("it is longer than %d bytes", MaxSize)
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return Profile{}, errors.New("it is no text file")
	}
	base := filepath.Base(file)
	ending := filepath.Ext(base)
	title := strings.TrimSuffix(base, ending)
	p := &profile{out: Profile{Name: plain(title), Files: map[string]string{}}, file: base, open: open}
	p.config = keyfile.New(keyfile.Comma)
	p.group = "provider_" + p.out.Name
	var err error
	switch {
	case p.out.Name == "":
		err = errors.New("its name has no letter that the name of a provisioning file could have")
	case ending == ".ovpn", ending == ".conf" && !isWireGuard(text):
		err = p.readOpenVPN(title, string(text))
	case ending == ".conf":
		err = p.readWireGuard(title, string(text))
	default:
		err = errors.New("its name ends neither in .ovpn nor in .conf")
	}
	if err != nil {
		return Profile{}, err
	}
	p.out.Config = string(p.config.Bytes())
	return p.out, nil
}

// plain leaves what a provisioning file's name may have.
func plain(title string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-':
			return r
		}
		return '_'
	}, title)
	return strings.Trim(name[:min(len(name), maxName)], "-_")
}

// profile is one that is being read.
type profile struct {
	out    Profile
	file   string
	open   func(string) ([]byte, error)
	config *keyfile.File
	group  string
}

// begin says what kind of VPN it is.
func (p *profile) begin(kind, title string) {
	p.set("Type", kind)
	p.set("Name", strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '_'
		}
		return r
	}, strings.ToValidUTF8(title, "_"))))
}

// set gives the connection a setting. Provisioning files know no escapes.
func (p *profile) set(key, value string) { p.config.SetValue(p.group, key, value) }

// has says whether it has the setting already.
func (p *profile) has(key string) bool { return p.config.Has(p.group, key) }

func (p *profile) warn(line int, format string, args ...any) {
	p.out.Warnings = append(p.out.Warnings, fmt.Sprintf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...)))
}

// wrong is an error in a line.
func (p *profile) wrong(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...))
}

// keep has a file written beside the configuration and returns its path there.
func (p *profile) keep(name, content string) string {
	p.out.Files[name] = content
	return path.Join(StateDir, p.out.Name, name)
}

// oneLine says whether a value can be in a line of a file.
func oneLine(value string) bool { return !strings.ContainsFunc(value, unicode.IsControl) }
