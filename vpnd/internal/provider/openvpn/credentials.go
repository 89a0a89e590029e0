package openvpn

import (
	"encoding/base64"
	"errors"
	"fmt"

	"net.connman/pkg/logx"
	"net.connman/vpnd/internal/core"
)

// What openvpn asks for. Others, such as those of a proxy or a smart card, are
// asked for in the same way.
const (
	needAuth       = "Auth"
	needPassphrase = "Private Key"
)

// The fields that an agent is asked for.
const (
	fieldChallenge = "OpenVPN.Challenge" // what the server wants to know
	fieldResponse  = "OpenVPN.Response"
	fieldKeyText   = "Enter Private Key password"
)

const (
	kindString   = "string"
	kindPassword = "password"
	kindResponse = "response"

	mandatory     = "mandatory"
	informational = "informational"
)

// credentials are what was given for one need.
type credentials struct {
	user     string
	password logx.Secret
}

// need answers what openvpn asks for: with what was right before, with what is
// saved, or with what the user says.
func (a *attempt) need(n needed) {
	if n.what == needAuth && a.challenge != nil {
		a.askDynamic(n, a.challenge)
		return
	}
	if c, ok := a.known(n); ok && n.challenge == nil {
		a.give(n, c)
		return
	}
	q := core.Question{Failure: a.failure}
	// What is not the login itself is for once: the agent keeps what it knows.
	q.Save = n.what == needAuth
	q.Keep = !q.Save
	switch {
	case q.Save:
		q.Fields = append(q.Fields,
			core.Field{Name: keyUsername, Type: kindString, Requirement: mandatory, Key: keyUsername},
			core.Field{Name: keyPassword, Type: kindPassword, Requirement: mandatory, Key: keyPassword})
	case n.user:
		q.Fields = append(q.Fields,
			core.Field{Name: keyUsername, Type: kindString, Requirement: mandatory},
			core.Field{Name: keyPassword, Type: kindPassword, Requirement: mandatory})
	default:
		q.Fields = append(q.Fields,
			core.Field{Name: keyPassphrase, Type: kindPassword, Requirement: mandatory},
			core.Field{Name: fieldKeyText, Type: kindString, Requirement: informational})
	}
	if n.challenge != nil {
		q.Fields = append(q.Fields, n.challenge.fields()...)
	}
	a.ask(q, func(answer core.Answer) {
		c := credentials{user: answer[keyUsername].Reveal(), password: answer[keyPassword]}
		if !n.user {
			c.password = answer[keyPassphrase]
		}
		if n.challenge != nil {
			a.task.Hide(c.password, answer[fieldResponse])
			c.password = logx.Secret(staticPassword(c.password.Reveal(), answer[fieldResponse].Reveal()))
		}
		a.give(n, c)
	})
}

// known returns credentials that nobody has refused yet.
func (a *attempt) known(n needed) (credentials, bool) {
	if c, ok := a.given[n.what]; ok {
		return c, true
	}
	if a.failure != "" || a.req.Refused > 0 {
		return credentials{}, false
	}
	switch text, secrets := a.req.Settings.Text, a.req.Settings.Secrets; n.what {
	case needAuth:
		c := credentials{user: text[keyUsername], password: secrets[keyPassword]}
		return c, c.user != "" && c.password != ""
	case needPassphrase:
		c := credentials{password: secrets[keyPassphrase]}
		if c.password == "" {
			c.password = a.passphrases[a.req.ID]
		}
		return c, c.password != ""
	}
	return credentials{}, false
}

// give tells openvpn credentials. They serve again when openvpn asks again, unless
// they are refused or part of them was good for once.
func (a *attempt) give(n needed, c credentials) {
	a.task.Hide(c.password)
	if checkCredential(c.user) != nil || checkCredential(c.password.Reveal()) != nil {
		a.fail(core.AuthFailed, errors.New("the credentials have a line break"))
		return
	}
	if n.challenge == nil {
		a.given[n.what] = c
	}
	if n.user {
		a.say("username " + quote(n.what) + " " + quote(c.user))
	}
	a.say("password " + quote(n.what) + " " + quote(c.password.Reveal()))
}

// refuse notes that credentials were wrong. Openvpn starts anew and asks again,
// or ends.
func (a *attempt) refuse(r refused) {
	delete(a.given, r.what)
	if r.what == needPassphrase {
		delete(a.passphrases, a.req.ID)
	}
	if r.challenge != nil { // not wrong, only not all
		a.challenge = r.challenge
		return
	}
	a.challenge = nil
	a.refusals++
	if r.what == needAuth && a.req.Forgives && !a.asked {
		a.fail(core.AuthFailed, errors.New("the server refuses credentials that it took before"))
		return
	}
	a.failure = core.Readable(r.reason)
	if a.failure == "" {
		a.failure = "Authentication failed"
	}
}

// askDynamic has the user answer a challenge instead of giving a password.
func (a *attempt) askDynamic(n needed, d *dynamicChallenge) {
	a.challenge = nil
	a.ask(core.Question{Fields: d.fields(), Keep: true}, func(answer core.Answer) {
		a.task.Hide(answer[fieldResponse])
		n.challenge = &d.challenge // the answer is good for once
		a.give(n, credentials{user: d.user, password: logx.Secret(d.password(answer[fieldResponse].Reveal()))})
	})
}

// askPending has the user answer a challenge that the server waits for.
func (a *attempt) askPending(c challenge) {
	a.ask(core.Question{Fields: c.fields(), Keep: true}, func(answer core.Answer) {
		a.task.Hide(answer[fieldResponse])
		response := base64.StdEncoding.EncodeToString([]byte(answer[fieldResponse].Reveal()))
		a.say("cr-response " + quote(response))
	})
}

// fields are how an agent is asked.
func (c challenge) fields() []core.Field {
	list := []core.Field{{Name: fieldChallenge, Type: kindString, Requirement: informational, Value: c.text}}
	if !c.answer {
		return list
	}
	kind := kindPassword
	if c.echo {
		kind = kindResponse
	}
	return append(list, core.Field{Name: fieldResponse, Type: kind, Requirement: mandatory})
}

// ask asks the user. Time that he takes is not the server's.
func (a *attempt) ask(q core.Question, use func(core.Answer)) {
	a.cancelQuestion()
	a.limit.Stop()
	a.asked = true
	a.asking = a.req.Ask.Ask(q, func(answer core.Answer, err error) {
		a.asking = nil
		switch {
		case err == nil:
			if !a.wasUp {
				a.await()
			}
			use(answer)
		case a.refusals > 0 || a.req.Refused > 0:
			a.fail(core.AuthFailed, fmt.Errorf("the credentials are wrong: %w", err))
		default:
			a.fail(core.ConnectFailed, fmt.Errorf("cannot ask for credentials: %w", err))
		}
	})
}

func (a *attempt) cancelQuestion() {
	if a.asking != nil {
		a.asking()
		a.asking = nil
	}
}

// keepPassphrase remembers what opened the key, which nobody saves.
func (a *attempt) keepPassphrase() {
	if c, ok := a.given[needPassphrase]; ok {
		a.passphrases[a.req.ID] = c.password
	}
}
