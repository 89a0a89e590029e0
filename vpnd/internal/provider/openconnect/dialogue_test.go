package openconnect

import (
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
)

// questions notes what the user is asked, and has him never answer.
type questions []core.Question

func (q *questions) Ask(question core.Question, _ func(core.Answer, error)) (cancel func()) {
	*q = append(*q, question)
	return func() {}
}

// dialogue returns an attempt whose program can be made to speak.
func dialogue(authType, second string) (*attempt, *questions) {
	asked := new(questions)
	s := settings{core.Settings{Text: map[string]string{keyAuthType: authType}, Secrets: map[string]logx.Secret{keySecondPassword: logx.Secret(second)}}}
	log := slog.New(slog.DiscardHandler)
	cfg := child.Config{Loop: loop.New(log), Log: log}
	a := &attempt{Attempt: child.New(cfg, core.Request{ID: "x", Settings: s.Settings, Ask: asked}, func(core.Event) {}), settings: s}
	a.credentials = s.saved()
	return a, asked
}

// FuzzOutput has the program, or the server by way of it, say anything. The user is
// asked one thing at a time, which he can read, and there is a reason for every end.
func FuzzOutput(f *testing.F) {
	for _, lines := range []string{
		saysUntrusted + ", 'no' to abort; anything else to view:", saysLoginFailed + ".", "Failed to connect to host",
		saysNoGroup + "staff not available", "GROUP: [staff|guests]:", "Password:", "Token:\nToken:", ": [:\n: []:\n:",
		"Please \x1b[2J\x07 answer\u202e:", strings.Repeat("x", maxPrompt) + ":", saysNoCookie, saysBadAnswer,
	} {
		for _, authType := range []string{byUser, byCookie, byPKCS} {
			f.Add(authType, "", lines, exitCookie)
		}
	}
	f.Add(byUser, "123456", "Token:", 1)
	f.Fuzz(func(t *testing.T, authType, second, lines string, code int) {
		a, asked := dialogue(authType, second)
		for line := range strings.Lines(strings.ToValidUTF8(lines, "\uFFFD")) {
			a.output(strings.TrimSuffix(line, "\n"))
		}
		if len(*asked) > 1 {
			t.Errorf("asked %d things at a time", len(*asked))
		}
		for _, q := range *asked {
			for _, field := range q.Fields {
				if !utf8.ValidString(field.Value) || len(field.Value) > maxPrompt || strings.ContainsFunc(field.Value, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Errorf("a user cannot be shown %q", field.Value)
				}
			}
		}
		if cause, err := a.outcome(proc.Exit{Code: code}); err == nil || cause == core.Stopped {
			t.Errorf("ended for no reason: %v", cause)
		}
	})
}
