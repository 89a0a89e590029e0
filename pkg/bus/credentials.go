package bus

import (
	"fmt"
	"slices"
)

// Credentials say who is behind a bus connection, as the bus saw when it was
// made. Authorise by the user, never by the process ID, which may be reused.
type Credentials struct {
	UID   uint32
	GIDs  []uint32 // nil when the bus does not tell
	PID   uint32   // 0 when the bus does not tell
	Label string   // of the security module, "" without one
}

// credentialCache is what is known of one unique name.
type credentialCache struct {
	known   *Credentials // nil while the bus is asked
	waiting []func(Credentials, error)
	unwatch func()
}

// Credentials asks who sender, a unique name, is and calls done on the loop, at
// once if it is known. It is kept until sender leaves the bus.
func (c *Conn) Credentials(sender string, done func(Credentials, error)) {
	cache := c.credentials[sender]
	if cache == nil {
		cache = &credentialCache{}
		c.credentials[sender] = cache
		c.askCredentials(sender, cache)
	}
	if cache.known != nil {
		done(*cache.known, nil)
		return
	}
	cache.waiting = append(cache.waiting, done)
}

func (c *Conn) askCredentials(sender string, cache *credentialCache) {
	cache.unwatch = c.WatchName(sender, func(owner string) {
		if owner == "" {
			c.forgetCredentials(sender)
		}
	})
	c.callBus("GetConnectionCredentials", func(values []any, err error) {
		creds, ok := Credentials{}, false
		if err == nil {
			dict, _ := single[Dict](values)
			creds, ok = parseCredentials(dict)
		}
		if !ok && err == nil {
			err = fmt.Errorf("the bus does not say which user %s is", sender)
		}
		if err == nil {
			cache.known = &creds
		} else {
			c.forgetCredentials(sender)
		}
		waiting := cache.waiting
		cache.waiting = nil
		for _, done := range waiting {
			done(creds, err)
		}
	}, sender)
}

func (c *Conn) forgetCredentials(sender string) {
	if cache := c.credentials[sender]; cache != nil {
		delete(c.credentials, sender)
		cache.unwatch()
	}
}

// parseCredentials reads the bus's answer; ok is false when it names no user.
func parseCredentials(dict Dict) (creds Credentials, ok bool) {
	creds.UID, ok = Lookup[uint32](dict, "UnixUserID")
	creds.PID, _ = Lookup[uint32](dict, "ProcessID")
	label, _ := Lookup[[]byte](dict, "LinuxSecurityLabel")
	if n := slices.Index(label, 0); n >= 0 {
		label = label[:n]
	}
	creds.Label = string(label)
	groups, _ := Lookup[Array](dict, "UnixGroupIDs")
	for _, item := range groups.Items {
		if gid, isGID := item.(uint32); isGID {
			creds.GIDs = append(creds.GIDs, gid)
		}
	}
	return creds, ok
}
