package core

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"net.connman/pkg/logx"
	"net.connman/pkg/netcfg"
)

const (
	maxName  = 255   // bytes
	maxHost  = 255   // bytes
	maxValue = 16384 // bytes of any other setting
)

// legacyDomain is how saved connections and old clients call the Domain.
const legacyDomain = "VPN.Domain"

var authErrorLimit = Key{Name: PropAuthErrorLimit, Check: func(v string) error {
	if _, err := strconv.ParseUint(v, 10, 16); err != nil {
		return errors.New("not a number of errors")
	}
	return nil
}}

// checkText refuses what fits into no line of a file or no message.
func checkText(v string, most int) error {
	switch {
	case len(v) > most:
		return fmt.Errorf("longer than %d bytes", most)
	case !utf8.ValidString(v):
		return errors.New("not UTF-8")
	case strings.ContainsFunc(v, unicode.IsControl):
		return errors.New("has control characters")
	}
	return nil
}

// CheckName says what is wrong with a connection's name.
func CheckName(v string) error {
	if v == "" {
		return errors.New("is missing")
	}
	return checkText(v, maxName)
}

// CheckHost says what is wrong with a server: an address, a name, or what some
// types take besides, with a port or as a URL. It never looks like an option of
// a program.
func CheckHost(v string) error {
	if v == "" {
		return errors.New("is missing")
	}
	if len(v) > maxHost {
		return fmt.Errorf("longer than %d bytes", maxHost)
	}
	if _, err := netip.ParseAddr(v); err == nil {
		return nil
	}
	strange := strings.ContainsFunc(v, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("-._:/[]%", c)
	})
	if strange || v[0] == '-' {
		return errors.New("not the name or address of a server")
	}
	return nil
}

// CheckDomain says what is wrong with a domain.
func CheckDomain(v string) error {
	if !netcfg.ValidName(strings.TrimSuffix(v, ".")) {
		return errors.New("not the name of a domain")
	}
	return nil
}

// CheckValue says what is wrong with a setting's value.
func (k Key) CheckValue(v string) error {
	if err := checkText(v, maxValue); err != nil || k.Check == nil {
		return err
	}
	return k.Check(v)
}

// invalid wraps what is wrong with a property.
func invalid(name string, err error) error {
	return fmt.Errorf("%w: %s %w", ErrInvalidProperty, name, err)
}

// checkMutable refuses to change what a provisioning file says.
func (c *Connection) checkMutable() error {
	if c.spec != nil {
		return ErrNotSupported
	}
	return nil
}

// SetText sets a text setting; "" clears it. changed is false when it was so
// already. Nothing is kept before Save.
func (c *Connection) SetText(name, value string) (changed bool, err error) {
	if name == legacyDomain {
		name = PropDomain
	}
	switch name {
	case PropName:
		return c.setOwn(&c.name, name, value, CheckName(value))
	case PropHost:
		return c.setOwn(&c.host, name, value, CheckHost(value))
	case PropDomain:
		if value == "" {
			return c.setOwn(&c.domain, name, value, nil)
		}
		return c.setOwn(&c.domain, name, value, CheckDomain(value))
	case PropType:
		if strings.EqualFold(value, c.typ) {
			return false, nil
		}
		return false, ErrPermissionDenied
	case PropSplitRouting, PropUserRoutes:
		return false, ErrInvalidProperty
	}
	if IsReadOnly(name) {
		return false, ErrPermissionDenied
	}
	key, known := c.kind.key(name)
	if !known {
		return false, fmt.Errorf("%w: %.100q is no setting of %s", ErrInvalidProperty, name, c.typ)
	}
	return c.setValue(key, value)
}

// IsReadOnly reports whether nobody sets the property.
func IsReadOnly(name string) bool { return slices.Contains(readOnly, name) }

func (c *Connection) setOwn(to *string, name, value string, wrong error) (bool, error) {
	if *to == value {
		return false, nil
	}
	if wrong != nil {
		return false, invalid(name, wrong)
	}
	*to = value
	c.m.changes.property(c, name)
	return true, nil
}

func (c *Connection) setValue(key Key, value string) (changed bool, err error) {
	if value != "" {
		if err := key.CheckValue(value); err != nil {
			return false, invalid(key.Name, err)
		}
	}
	if key.Secret {
		changed = c.secrets[key.Name] != logx.Secret(value)
		assign(c.secrets, key.Name, logx.Secret(value))
		return changed, nil
	}
	changed = c.text[key.Name] != value
	assign(c.text, key.Name, value)
	if changed {
		c.m.changes.property(c, key.Name)
	}
	return changed, nil
}

// assign sets a value, or deletes it when it is "".
func assign[T ~string](to map[string]T, key string, value T) {
	if value == "" {
		delete(to, key)
	} else {
		to[key] = value
	}
}

// FollowSplitRouting takes over what connmand has decided, for whose service the
// user may have said it. So it goes for provisioned connections, too.
func (c *Connection) FollowSplitRouting(on bool) {
	if on != c.SplitRouting() && c.SetSplitRouting(on) {
		c.keep()
	}
}

// SetSplitRouting says whether only the routes lead into the tunnel.
func (c *Connection) SetSplitRouting(on bool) (changed bool) {
	if c.split == on {
		return false
	}
	c.split = on
	c.m.changes.property(c, PropSplitRouting)
	return true
}

// SetRoutes sets the user's routes.
func (c *Connection) SetRoutes(routes []Route) (changed bool, err error) {
	if len(routes) > MaxRoutes {
		return false, invalid(PropUserRoutes, fmt.Errorf("are more than %d", MaxRoutes))
	}
	var once []Route
	for _, r := range routes {
		if !slices.Contains(once, r) {
			once = append(once, r)
		}
	}
	if slices.Equal(once, c.routes) {
		return false, nil
	}
	c.routes = once
	c.m.changes.property(c, PropUserRoutes)
	return true, nil
}

// Clear forgets a setting.
func (c *Connection) Clear(name string) (changed bool, err error) {
	switch name {
	case PropUserRoutes:
		return c.SetRoutes(nil)
	case PropName, PropHost, PropType:
		return false, ErrPermissionDenied
	}
	if IsReadOnly(name) {
		return false, ErrPermissionDenied
	}
	has := c.text[name] != "" || c.secrets[name] != ""
	if (name == PropDomain || name == legacyDomain) && c.domain != "" {
		has = true
	}
	if !has {
		return false, ErrInvalidProperty
	}
	return c.SetText(name, "")
}

// Change runs set, which changes settings, and keeps what it changed. A
// provisioned connection refuses.
func (c *Connection) Change(set func() (changed bool, err error)) error {
	if err := c.checkMutable(); err != nil {
		return err
	}
	changed, err := set()
	if changed {
		c.save()
	}
	return err
}

// Knows reports whether connections of this type have the setting.
func (c *Connection) Knows(name string) bool {
	_, known := c.kind.key(name)
	return known || name == PropDomain || name == legacyDomain
}
