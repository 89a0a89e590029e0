package ppp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
)

// resolveTimeout is how long it may take to find the server's address.
const resolveTimeout = 20 * time.Second

// Attempt is a tunnel that pppd carries: [child.Attempt] with the user's
// credentials and the server's address.
type Attempt struct {
	*child.Attempt
	cfg      child.Config
	settings core.Settings

	User     string
	Password logx.Secret
	Server   netip.Addr
}

// New begins an attempt: it collects the credentials, which the settings
// userKey and passwordKey have or the user says, finds the server, and calls run.
func New(cfg child.Config, req core.Request, report func(core.Event), userKey, passwordKey string, run func(*Attempt)) *Attempt {
	a := &Attempt{
		Attempt: child.New(cfg, req, report), cfg: cfg, settings: req.Settings,
		User: req.Settings.Text[userKey], Password: req.Settings.Secrets[passwordKey],
	}
	if a.User != "" && a.Password != "" && req.Refused == 0 {
		a.find(run)
		return a
	}
	q := core.Question{Fields: []core.Field{
		{Name: "Username", Type: "string", Requirement: "mandatory", Key: userKey, Value: a.User},
		{Name: "Password", Type: "password", Requirement: "mandatory", Key: passwordKey},
	}, Save: true}
	if req.Refused > 0 {
		q.Failure = "Authentication failed"
	}
	a.Ask(q, func(answer core.Answer) {
		a.User, a.Password = answer["Username"].Reveal(), answer["Password"]
		a.find(run)
	})
	return a
}

// find finds the server's address.
func (a *Attempt) find(run func(*Attempt)) {
	host := a.settings.Text["Host"]
	loop.Go(a.cfg.Loop, "find a VPN's server", func(ctx context.Context) (netip.Addr, error) {
		if address, err := netip.ParseAddr(host); err == nil {
			return address.Unmap(), nil
		}
		ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
		defer cancel()
		list, err := net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		if err == nil && len(list) == 0 {
			err = errors.New("it has no address")
		}
		if err != nil {
			return netip.Addr{}, fmt.Errorf("cannot resolve %s: %w", host, err)
		}
		return list[0].Unmap(), nil
	}, func(server netip.Addr, err error) {
		if a.Over() {
			return
		}
		if err != nil {
			a.Fail(core.ConnectFailed, err)
			return
		}
		a.Server = server
		run(a)
	})
}
