package openvpn

import (
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"net.connman/vpnd/internal/core"
)

func TestParse(t *testing.T) {
	yes := challenge{text: "Which?", echo: true, answer: true}
	for line, want := range map[string]event{
		">STATE:1700000000,CONNECTED,SUCCESS,10.8.0.2,192.0.2.1,1194,,": state{"CONNECTED", "SUCCESS"},
		">STATE:1700000000,RECONNECTING,ping-restart,,,,,":              state{"RECONNECTING", "ping-restart"},
		">STATE:1": nil,
		">PASSWORD:Need 'Auth' username/password":                           needed{what: "Auth", user: true},
		">PASSWORD:Need 'Auth' username/password SC:1,Which?":               needed{"Auth", true, &yes},
		">PASSWORD:Need 'Auth' username/password SC:0,Which?":               needed{"Auth", true, &challenge{text: "Which?", answer: true}},
		">PASSWORD:Need 'Private Key' password":                             needed{what: "Private Key"},
		">PASSWORD:Need 'my token' password":                                needed{what: "my token"},
		">PASSWORD:Verification Failed: 'Auth'":                             refused{what: "Auth"},
		">PASSWORD:Verification Failed: 'Private Key'":                      refused{what: "Private Key"},
		">PASSWORD:Verification Failed: 'Auth' ['locked: it's too late']":   refused{what: "Auth", reason: "locked: it's too late"},
		">PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:st:bWU=:Which?']": refused{what: "Auth", challenge: &dynamicChallenge{yes, "st", "me"}},
		">PASSWORD:Verification Failed: 'Auth' ['CRV1:R:st:?:Which?']":      refused{what: "Auth", reason: "CRV1:R:st:?:Which?"},
		">PASSWORD:Verification Failed: 'Auth' ['CRV1:R:st']":               refused{what: "Auth", reason: "CRV1:R:st"},
		">PASSWORD:Auth-Token:secret":                                       nil,
		">INFOMSG:CR_TEXT:R,E:Which?":                                       pending{yes},
		">INFOMSG:CR_TEXT::Wait: it takes long":                             pending{challenge{text: "Wait: it takes long"}},
		">INFOMSG:WEB_AUTH::https://example.test":                           nil,
		">FATAL:Cannot open TUN/TAP dev":                                    fatal{"Cannot open TUN/TAP dev"},
		">NEED-OK:Need 'token-insertion' confirmation MSG:Please":           wanted{"needok", "token-insertion"},
		">NEED-STR:Need 'name' input MSG:Please":                            wanted{"needstr", "name"},
		">INFO:OpenVPN Management Interface Version 5":                      nil,
		"SUCCESS: real-time state notification set to ON":                   nil,
		"ERROR: unknown command":                                            nil,
		"":                                                                  nil,
	} {
		if got := parse(line); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\n%#v, want\n%#v", line, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, line := range []string{
		">STATE:1,CONNECTED,SUCCESS,,,,", ">PASSWORD:Need 'Auth' username/password SC:1,Which?",
		">PASSWORD:Verification Failed: 'Auth' ['CRV1:R,E:state:bWU=:Which?']", ">INFOMSG:CR_TEXT:R:\x1b[2J", ">NEED-OK:'", ">FATAL:",
	} {
		f.Add(line)
	}
	check := func(t *testing.T, c challenge) {
		if !utf8.ValidString(c.text) || len(c.text) > core.MaxReadable || strings.ContainsFunc(c.text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("a user cannot be shown %q", c.text)
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		switch e := parse(line).(type) {
		case needed:
			if e.challenge != nil {
				check(t, *e.challenge)
			}
		case pending:
			check(t, e.challenge)
		case refused:
			if d := e.challenge; d != nil {
				check(t, d.challenge)
				if strings.ContainsAny(d.user+d.state, "\n\r\x00") {
					t.Errorf("commands can be smuggled in by %+v", d)
				}
			}
		}
	})
}

func TestChallengeResponses(t *testing.T) {
	d := dynamicChallenge{state: "st:1"}
	if got := d.password("4711"); got != "CRV1::st:1::4711" {
		t.Error(got)
	}
	if got := staticPassword("pass", "4711"); got != "SCRV1:"+base64.StdEncoding.EncodeToString([]byte("pass"))+":NDcxMQ==" {
		t.Error(got)
	}
}

func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		"":           `""`,
		"plain":      `"plain"`,
		`a "b" \ c'`: `"a \"b\" \\ c'"`,
	} {
		if got := quote(text); got != want {
			t.Errorf("%q becomes %s, want %s", text, got, want)
		}
	}
}
