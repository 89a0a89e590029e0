package l2tp

import (
	"errors"
	"path/filepath"
	"strings"

	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/ppp"
)

const (
	program = "xl2tpd"
	pppd    = "pppd"
)

// Provider makes L2TP tunnels.
type Provider struct{ cfg child.Config }

var _ core.Provider = (*Provider)(nil)

// New returns the provider.
func New(cfg child.Config) *Provider { return &Provider{cfg} }

// Type implements [core.Provider].
func (p *Provider) Type() string { return "l2tp" }

// Keys implements [core.Provider].
func (p *Provider) Keys() []core.Key { return keys() }

// Check implements [core.Provider].
func (p *Provider) Check(core.Settings) error { return nil }

// Missing implements [core.Provider].
func (p *Provider) Missing() error {
	if _, err := proc.Find(pppd); err != nil {
		return err
	}
	_, err := proc.Find(program)
	return err
}

// Connect implements [core.Provider].
func (p *Provider) Connect(req core.Request, report func(core.Event)) core.Attempt {
	return ppp.New(p.cfg, req, report, keyUser, keyPassword, func(a *ppp.Attempt) { run(a, req.Settings) })
}

func run(a *ppp.Attempt, s core.Settings) {
	path, err := proc.Find(program)
	if err != nil {
		a.Fail(core.ConnectFailed, err)
		return
	}
	var ear ppp.Ear
	a.Run(child.Program{
		Spec: func(p child.Place) proc.Spec {
			file := func(name string) string { return filepath.Join(p.Dir, name) }
			return proc.Spec{
				Program: path,
				Args:    []string{"-D", "-c", file(configFile), "-C", file(controlFile), "-p", file(pidFile)},
				Env:     []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
				Files: map[string]string{
					configFile: configuration(s, a.User, a.Server.String(), p),
					pppFile:    ppp.File(pppOptions, s, a.User, a.Password, p),
				},
			}
		},
		Output: func(line string) {
			switch {
			case ear.Output(line): // xl2tpd would try again, with the same credentials
				a.Fail(core.AuthFailed, ppp.ErrRefused)
			case givenUp(line):
				a.Fail(core.ConnectFailed, errors.New("the server cannot be reached any more"))
			}
		},
		Heard: ppp.Heard(a.Server, whenDown(s)),
		Ended: ear.Outcome,
	})
}

// whenDown is what xl2tpd, which never ends by itself, does about a lost link.
func whenDown(s core.Settings) ppp.Down {
	if redial := s.Text[keyRedial]; redial == "" || ppp.IsTrue(redial) {
		return ppp.Redials
	}
	return ppp.Stays
}

// givenUp reports whether xl2tpd says that it has redialled as often as it may.
func givenUp(line string) bool { return strings.HasSuffix(line, ": maximum retries exceeded.") }
