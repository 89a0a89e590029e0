package openconnect

import (
	"errors"

	"net.connman/pkg/logx"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/tun"
	"net.connman/vpnd/internal/vpncscript"
)

const program = "openconnect"

// Provider makes OpenConnect tunnels.
type Provider struct{ cfg child.Config }

var _ core.Provider = (*Provider)(nil)

// New returns the provider.
func New(cfg child.Config) *Provider { return &Provider{cfg} }

// Type implements [core.Provider].
func (p *Provider) Type() string { return "openconnect" }

// Keys implements [core.Provider].
func (p *Provider) Keys() []core.Key { return keys() }

// Check implements [core.Provider].
func (p *Provider) Check(s core.Settings) error { return settings{s}.check() }

// Missing implements [core.Provider].
func (p *Provider) Missing() error {
	_, err := proc.Find(program)
	return err
}

// Connect implements [core.Provider].
func (p *Provider) Connect(req core.Request, report func(core.Event)) core.Attempt {
	a := &attempt{
		Attempt: child.New(p.cfg, req, report), settings: settings{req.Settings},
		refused: req.Refused > 0,
	}
	a.credentials = a.settings.saved()
	if q, ok := a.question(); ok {
		a.Ask(q, func(answer core.Answer) {
			a.take(answer)
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
	settings    settings
	credentials credentials
	refused     bool  // the last time, or this time
	why         error // there is no connection
}

func (a *attempt) run() {
	path, err := proc.Find(program)
	if err != nil {
		a.Fail(core.ConnectFailed, err)
		return
	}
	a.refused = false
	a.Run(child.Program{
		Kind:    tun.Tun,
		Spec:    func(p child.Place) proc.Spec { return a.settings.spec(path, a.credentials, p) },
		Started: a.begin,
		Output:  a.output,
		Heard:   vpncscript.Heard,
		Ended:   a.outcome,
	})
}

// question is what has to be asked before, if anything.
func (a *attempt) question() (q core.Question, ok bool) {
	c := a.credentials
	if a.refused {
		q.Failure = "Authentication failed"
	}
	inform := func(key string) {
		if v := a.settings.text(key); v != "" {
			q.Fields = append(q.Fields, core.Field{Name: key, Type: "string", Requirement: "informational", Value: v})
		}
	}
	ask := func(name, kind, requirement, key string) {
		q.Fields = append(q.Fields, core.Field{Name: name, Type: kind, Requirement: requirement, Key: key})
	}
	inform(keyCACert)
	t := a.settings.authType()
	if t != byCookie {
		inform(keyServerCert)
		inform(keyVPNHost)
	}
	switch t {
	case byUser, byUserCookie:
		second := a.settings.is(keyUseSecond)
		if t == byUserCookie && c.cookie != "" && !a.refused {
			return q, false
		}
		a.credentials.cookie = ""
		ask("Username", "string", "mandatory", keyUsername)
		ask("Password", "password", "mandatory", keyPassword)
		if second {
			ask(keySecondPassword, "password", "mandatory", "") // good for once
		}
		q.Save = true
		return q, a.refused || c.username == "" || c.password == "" || second && c.second == ""
	case byPKCS:
		a.credentials.cookie = ""
		inform(keyPKCSCert)
		ask(keyPKCSPassword, "password", "mandatory", "")
		q.Keep = true
		return q, a.refused || c.pkcsPassword == ""
	case byKey:
		a.credentials.cookie = ""
		return q, false
	default:
		for _, key := range []string{keyServerCert, keyVPNHost} {
			q.Fields = append(q.Fields, core.Field{Name: key, Type: "string", Requirement: "optional", Key: key, Value: a.settings.text(key)})
		}
		ask(keyCookie, "string", "mandatory", "")
		q.Keep = true
		return q, a.refused || c.cookie == ""
	}
}

// take takes over what the user said.
func (a *attempt) take(answer core.Answer) {
	set := func(to *logx.Secret, field string) {
		if v := answer[field]; v != "" {
			*to = v
		}
	}
	c := &a.credentials
	set(&c.password, "Password")
	set(&c.second, keySecondPassword)
	set(&c.pkcsPassword, keyPKCSPassword)
	set(&c.cookie, keyCookie)
	if v := answer["Username"]; v != "" {
		c.username = v.Reveal()
	}
	if v := answer[keyVPNHost]; v != "" {
		c.vpnHost = v.Reveal()
	}
	if v := answer[keyServerCert]; v != "" {
		c.serverCert = v.Reveal()
	}
}

var (
	errRefused     = errors.New("the server refuses the credentials")
	errCertificate = errors.New("the server's certificate cannot be trusted: see OpenConnect.CACert and AllowSelfSignedCert")
)
