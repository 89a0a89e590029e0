package vpnc

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/tun"
	"net.connman/vpnd/internal/vpncscript"
)

const program = "vpnc"

// Provider makes tunnels with vpnc.
type Provider struct{ cfg child.Config }

var _ core.Provider = (*Provider)(nil)

// New returns the provider.
func New(cfg child.Config) *Provider { return &Provider{cfg} }

// Type implements [core.Provider].
func (p *Provider) Type() string { return "vpnc" }

// Keys implements [core.Provider].
func (p *Provider) Keys() []core.Key { return keys() }

// Check implements [core.Provider].
func (p *Provider) Check(s core.Settings) error {
	if values(s)[keyGroup] == "" {
		return fmt.Errorf("%s is missing", keyGroup)
	}
	return nil
}

// Missing implements [core.Provider].
func (p *Provider) Missing() error {
	_, err := proc.Find(program)
	return err
}

// Connect implements [core.Provider].
func (p *Provider) Connect(req core.Request, report func(core.Event)) core.Attempt {
	a := &attempt{Attempt: child.New(p.cfg, req, report), values: values(req.Settings)}
	if q, ok := a.question(req.Refused > 0); ok {
		a.Ask(q, func(answer core.Answer) {
			for name, value := range answer {
				if value != "" {
					a.values[name] = value.Reveal()
				}
			}
			a.run()
		})
	} else {
		a.run()
	}
	return a
}

// attempt is a tunnel.
type attempt struct {
	*child.Attempt
	values map[string]string
	cause  core.Cause
	why    error // what the program said went wrong
}

// question is what has to be asked before, if anything: what is not known or, once
// it was refused, who the user is. The group's secret is the administrator's, so
// one that is there need not be said again.
func (a *attempt) question(refused bool) (q core.Question, ok bool) {
	if refused {
		q.Failure = "Authentication failed"
	}
	ask := func(key, kind string, again bool) {
		switch {
		case a.values[key] == "" || again:
			q.Fields = append(q.Fields, core.Field{Name: key, Type: kind, Requirement: "mandatory", Key: key})
		case refused:
			q.Fields = append(q.Fields, core.Field{Name: key, Type: kind, Requirement: "optional", Key: key})
		}
	}
	ask(keyGroupSecret, "password", false)
	ask(keyUsername, "string", refused)
	ask(keyPassword, "password", refused)
	q.Save = true
	return q, len(q.Fields) > 0
}

func (a *attempt) run() {
	path, err := proc.Find(program)
	if err != nil {
		a.Fail(core.ConnectFailed, err)
		return
	}
	kind, mode := tun.Tun, "tun"
	if a.values[keyDeviceType] == "tap" {
		kind, mode = tun.Tap, "tap"
	}
	a.Run(child.Program{
		Kind: kind,
		Spec: func(p child.Place) proc.Spec { return a.spec(path, mode, p) },
		Started: func() {
			a.Send(configuration(a.values))
			a.CloseInput()
		},
		Output: a.output,
		Heard:  vpncscript.Heard,
		Ended:  a.outcome,
	})
}

func (a *attempt) spec(path, mode string, p child.Place) proc.Spec {
	args := []string{
		"--non-inter", "--no-detach", "--ifname", p.Link, "--ifmode", mode,
		"--pid-file", filepath.Join(p.Dir, "pid"), "--script", p.Script,
	}
	if level := a.values[keyDebug]; level != "" {
		args = append(args, "--debug", level)
	}
	return proc.Spec{
		Program: path,
		Args:    append(args, "-"),
		Env:     []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Input:   true,
	}
}

// What the program writes when it gives up, see vpnc's sources.
var (
	refusals = []string{"hash comparison failed", "authentication unsuccessful", "expected xauth packet; rejected"}
	failures = []string{"unknown host", "no response from target", "receiving packet: No route to host"}
)

func (a *attempt) output(line string) {
	_, line, ok := strings.Cut(line, "vpnc: ") // a path may come before
	if !ok || a.why != nil {
		return
	}
	begins := func(with []string) bool {
		for _, w := range with {
			if strings.HasPrefix(line, w) {
				return true
			}
		}
		return false
	}
	switch {
	case begins(refusals):
		a.cause, a.why = core.AuthFailed, fmt.Errorf("the server refuses the credentials: %s", line)
	case begins(failures):
		a.cause, a.why = core.ConnectFailed, errors.New(line)
	}
}

// outcome says why the program ended by itself.
func (a *attempt) outcome(exit proc.Exit) (core.Cause, error) {
	if a.why != nil {
		return a.cause, a.why
	}
	return core.ConnectFailed, fmt.Errorf("vpnc ended: %v", exit)
}
