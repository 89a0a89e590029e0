package pptp

import (
	"path/filepath"
	"slices"
	"strings"

	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/ppp"
)

const (
	program = "pppd"
	carrier = "pptp"

	keyUser     = "PPTP.User"
	keyPassword = "PPTP.Password"
)

// carrierOptions are those of the program pptp.
var carrierOptions = []struct{ key, name string }{
	{"PPTP.IdleWait", "--idle-wait"},
	{"PPTP.MaxEchoWait", "--max-echo-wait"},
}

// options are pppd's: the spelling of MPPE's is the reference's.
var options = slices.Concat(ppp.Common, []ppp.Option{
	{Key: "PPPD.RequirMPPE", Name: "require-mppe"},
	{Key: "PPPD.RequirMPPE40", Name: "require-mppe-40"},
	{Key: "PPPD.RequirMPPE128", Name: "require-mppe-128"},
	{Key: "PPPD.RequirMPPEStateful", Name: "mppe-stateful"},
})

// Provider makes PPTP tunnels.
type Provider struct{ cfg child.Config }

var _ core.Provider = (*Provider)(nil)

// New returns the provider.
func New(cfg child.Config) *Provider { return &Provider{cfg} }

// Type implements [core.Provider].
func (p *Provider) Type() string { return "pptp" }

// Keys implements [core.Provider].
func (p *Provider) Keys() []core.Key {
	keys := []core.Key{{Name: keyUser}, {Name: keyPassword, Secret: true}}
	for _, o := range carrierOptions {
		keys = append(keys, core.Key{Name: o.key, Check: ppp.Within(0, 1<<16)})
	}
	return append(keys, ppp.Keys(options)...)
}

// Check implements [core.Provider].
func (p *Provider) Check(core.Settings) error { return nil }

// Missing implements [core.Provider].
func (p *Provider) Missing() error {
	if _, err := proc.Find(program); err != nil {
		return err
	}
	_, err := proc.Find(carrier)
	return err
}

// Connect implements [core.Provider].
func (p *Provider) Connect(req core.Request, report func(core.Event)) core.Attempt {
	return ppp.New(p.cfg, req, report, keyUser, keyPassword, func(a *ppp.Attempt) { run(a, req.Settings) })
}

// optionFile is in the task's directory.
const optionFile = "ppp.conf"

// exitRefused is how pppd ends when it could not authenticate itself to the
// server.
const exitRefused = 19

func run(a *ppp.Attempt, s core.Settings) {
	path, err := proc.Find(program)
	if err != nil {
		a.Fail(core.ConnectFailed, err)
		return
	}
	carrierPath, err := proc.Find(carrier)
	if err != nil {
		a.Fail(core.ConnectFailed, err)
		return
	}
	command := carry(carrierPath, a.Server.String(), s)
	var ear ppp.Ear
	a.Run(child.Program{
		Spec: func(p child.Place) proc.Spec {
			return proc.Spec{
				Program: path,
				Args:    []string{"file", filepath.Join(p.Dir, optionFile)},
				Env:     []string{"LC_ALL=C", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
				Files: map[string]string{
					optionFile: ppp.File(options, s, a.User, a.Password, p, `pty "`+command+`"`),
				},
			}
		},
		Output: func(line string) { ear.Output(line) },
		Heard:  ppp.Heard(a.Server, ppp.Ends),
		Ended: func(exit proc.Exit) (core.Cause, error) {
			if exit.Code == exitRefused {
				return core.AuthFailed, ppp.ErrRefused
			}
			return ear.Outcome(exit)
		},
	})
}

// carry is the command that carries pppd's packets, which a shell runs: all of
// its words are plain, an address and numbers. The way to the server is not its
// business: a route of its own would stay when it is killed.
func carry(path, server string, s core.Settings) string {
	words := []string{path, server, "--nolaunchpppd", "--nohostroute", "--loglevel", "2"}
	for _, o := range carrierOptions {
		if value := s.Text[o.key]; value != "" {
			words = append(words, o.name, value)
		}
	}
	return strings.Join(words, " ")
}
