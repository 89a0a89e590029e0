package core

import (
	"testing"

	"net.connman/pkg/logx"
)

// FuzzAccept has agents answer anything. What is taken was asked for, fits into the
// setting that it may become, and is kept only if the user says so.
func FuzzAccept(f *testing.F) {
	f.Add("Username", "alice", "Password", "s3cret", "true", true)
	f.Add("Username", "alice", "Token", "s3cret", "true", true)
	f.Add("Host", "evil.test", "Port", "12x", "false", true)
	f.Add("Username", "a\nb", "Password", "\x00", "yes", false)
	f.Add("SaveCredentials", "true", "Trust", "maybe", "true", false)
	f.Add("Password", "", "Trust", "true", "true", true)
	k := kind{provider: &scripted{typ: "scripted"}}
	k.keys = KeysOf(k.provider)
	port, _ := k.key("Scripted.Port")
	f.Fuzz(func(t *testing.T, name, value, other, more, save string, offer bool) {
		q := Question{Save: offer, Fields: []Field{
			{Name: "Host", Type: typeString, Requirement: informational, Key: PropHost},
			{Name: "Username", Type: typeString, Requirement: mandatory, Key: "Scripted.User"},
			{Name: "Password", Type: "password", Requirement: mandatory, Key: "Scripted.Password", Alternates: []string{"Token"}},
			{Name: "Token", Type: "password", Requirement: "alternate", Alternates: []string{"Password"}},
			{Name: "Port", Type: typeString, Requirement: optional, Key: "Scripted.Port"},
			{Name: "Trust", Type: typeBoolean, Requirement: optional},
		}}
		answer := Answer{"Username": "bob", fieldSave: logx.Secret(save)}
		answer[name], answer[other] = logx.Secret(value), logx.Secret(more)
		saves := answer[fieldSave] == yes && offer
		a := &attempt{c: &Connection{kind: k}}
		if a.accept(q, answer) != nil {
			if a.learnt != nil {
				t.Errorf("a refused answer is kept: %d values", len(a.learnt))
			}
			return
		}
		if answer["Username"] == "" || answer["Password"] == "" && answer["Token"] == "" {
			t.Error("what is mandatory is missing")
		}
		for field, text := range answer {
			switch field {
			case "Username", "Password", "Token":
			case "Port":
				if text != "" && port.CheckValue(text.Reveal()) != nil {
					t.Errorf("port %q", text.Reveal())
				}
			case "Trust":
				if text != "" && text != yes && text != no {
					t.Errorf("trust %q", text.Reveal())
				}
			default:
				t.Errorf("nobody asked for %q", field)
			}
			if checkText(text.Reveal(), maxValue) != nil {
				t.Errorf("%s fits into no file: %q", field, text.Reveal())
			}
		}
		for key, text := range a.learnt {
			if !saves || text == "" || key == PropHost {
				t.Errorf("%s is kept", key)
			}
		}
	})
}
