package openconnect

import (
	"errors"
	"fmt"
	"strings"

	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/core"
)

// What the program writes, see its library's sources: the texts of version 9, in
// the C locale.
const (
	saysUntrusted   = "Enter 'yes' to accept"
	saysLoginFailed = "Login failed"
	saysAuthFailed  = "authentication failed"
	saysNoGroup     = "Auth choice "
	saysUnavailable = "VPN service unavailable"
	saysBadAnswer   = "Got inappropriate HTTP CONNECT response"
	saysNoCookie    = "Cookie is no longer valid"
)

// unreachable is how lines begin that say why there is no connection.
var unreachable = []string{"Failed to connect to ", "Failed to open HTTPS connection to ", "getaddrinfo failed for host "}

// maxPrompt is how long a question of the program's may be, in bytes.
const maxPrompt = 200

// output reads what the program writes. What the server has it show is in
// between, so nothing here decides more than how the attempt fails, or what the
// user is asked next.
func (a *attempt) output(line string) {
	switch {
	case strings.HasPrefix(line, saysUntrusted):
		a.answerCertificate()
	case strings.HasPrefix(line, saysNoGroup):
		a.Fail(core.LoginFailed, fmt.Errorf("the server does not have the group %q", a.settings.text(keyGroup)))
	case strings.HasPrefix(line, saysUnavailable), strings.HasPrefix(line, saysBadAnswer), strings.Contains(line, saysNoCookie):
		a.Fail(core.LoginFailed, fmt.Errorf("the server does not take the cookie: %s", line))
	case strings.Contains(line, saysLoginFailed), strings.Contains(strings.ToLower(line), saysAuthFailed):
		a.refused = true
	case strings.HasSuffix(line, ":") && len(line) <= maxPrompt:
		a.prompted(core.Readable(strings.TrimSuffix(line, ":")))
	default:
		for _, begin := range unreachable {
			if strings.HasPrefix(line, begin) {
				a.why = errors.New(line)
			}
		}
	}
}

// begin sends what the program reads without being asked.
func (a *attempt) begin() {
	switch c := a.credentials; {
	case c.cookie != "":
		a.Send(c.cookie + "\n")
	case a.settings.authType() == byUser, a.settings.authType() == byUserCookie:
		a.Send(c.password + "\n")
	}
}

// answerCertificate answers whether a certificate that nobody vouches for will
// do.
func (a *attempt) answerCertificate() {
	if a.settings.is(keySelfSigned) && a.credentials.serverCert == "" {
		a.Send("yes\n")
		return
	}
	a.Fail(core.ConnectFailed, errCertificate)
}

// prompted answers a question of the program's, or rather the server's.
func (a *attempt) prompted(prompt string) {
	text, choices, isGroup := strings.Cut(prompt, ": [")
	switch {
	case strings.HasSuffix(prompt, "command line"): // part of what it says of a certificate
	case isGroup && strings.HasSuffix(choices, "]"):
		a.askGroup(text, strings.TrimSuffix(choices, "]"))
	case a.refused, a.settings.authType() == byPKCS, a.settings.authType() == byKey:
		a.Fail(core.AuthFailed, errRefused)
	case a.credentials.second != "":
		a.Send(a.credentials.second + "\n")
		a.credentials.second = ""
	default:
		a.askSecond(prompt)
	}
}

// askGroup has the user choose among the server's groups.
func (a *attempt) askGroup(text, choices string) {
	a.Ask(core.Question{Fields: []core.Field{
		{Name: keyGroup, Type: "string", Requirement: "mandatory", Key: keyGroup, Value: choices},
	}, Save: true}, func(answer core.Answer) { a.Send(answer[keyGroup] + "\n") })
}

// askSecond has the user say what the server wants to know beyond the password:
// the second factor.
func (a *attempt) askSecond(prompt string) {
	a.Ask(core.Question{Fields: []core.Field{
		{Name: keySecondPassword, Type: "password", Requirement: "mandatory", Value: prompt},
	}, Keep: true}, func(answer core.Answer) { a.Send(answer[keySecondPassword] + "\n") })
}

// exitCookie is how the program ends when the server has refused the cookie.
const exitCookie = 2

// outcome says why the program ended by itself.
func (a *attempt) outcome(exit proc.Exit) (core.Cause, error) {
	switch {
	case a.refused:
		return core.AuthFailed, errRefused
	case exit.Code == exitCookie:
		return core.LoginFailed, errRefused
	case a.why != nil:
		return core.ConnectFailed, a.why
	}
	return core.ConnectFailed, fmt.Errorf("openconnect ended: %v", exit)
}
