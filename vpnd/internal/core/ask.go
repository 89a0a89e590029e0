package core

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"net.connman/pkg/logx"
)

// The fields that are added to every question, see vpn-agent-api.txt.
const (
	fieldSave        = "SaveCredentials"
	fieldFailure     = "VpnAgent.AuthFailure"
	fieldAllowStore  = "AllowStoreCredentials"
	fieldAllowLookup = "AllowRetrieveCredentials"
	fieldKeep        = "KeepCredentials"
)

// The words of fields.
const (
	typeString    = "string"
	typeBoolean   = "boolean"
	mandatory     = "mandatory"
	optional      = "optional"
	informational = "informational"
	control       = "control"
	yes           = "true"
	no            = "false"
)

// MaxReadable is how long a text of a server's is that a user is shown, in bytes.
const MaxReadable = 1024

// Readable makes text of a server's one that can be shown to a user: nothing in it
// steers a terminal or turns what is around it.
func Readable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > MaxReadable {
		text = strings.ToValidUTF8(text[:MaxReadable], "")
	}
	return text
}

// asker is what an attempt asks the user with.
type asker struct{ a *attempt }

// Ask implements Asker.
func (s *asker) Ask(q Question, done func(Answer, error)) (cancel func()) {
	m, c := s.a.c.m, s.a.c
	return m.agents.ask(s.a.sender, &request{
		send: func(id AgentID, over func()) func() {
			return m.ports.Agents.RequestInput(id, c.id, c.fields(q), m.cfg.InputRequestTimeout, func(answer Answer, err error) {
				over()
				if err == nil {
					err = s.a.accept(q, answer)
				}
				if err != nil {
					answer = nil
				}
				done(answer, err)
			})
		},
		lost: func() { done(nil, ErrNoAgent) },
	})
}

// failed has an agent say that it failed, and hears whether to try again.
func (a *attempt) failed(word string, done func(again bool)) *request {
	m, c := a.c.m, a.c
	return &request{
		send: func(id AgentID, over func()) func() {
			return m.ports.Agents.ReportError(id, c.id, word, m.cfg.InputRequestTimeout, func(again bool) {
				over()
				done(again)
			})
		},
		lost: func() { done(false) },
	}
}

// fields are all that the agent is told and asked, in the order in which agents
// always saw them.
func (c *Connection) fields(q Question) []Field {
	var list []Field
	if q.Failure != "" {
		list = append(list, Field{Name: fieldFailure, Type: typeString, Requirement: informational, Value: q.Failure})
	}
	list = append(list, q.Fields...)
	if q.Save {
		list = append(list, Field{Name: fieldSave, Type: typeBoolean, Requirement: optional})
	}
	list = append(list,
		Field{Name: PropHost, Type: typeString, Requirement: informational, Value: c.host},
		Field{Name: PropName, Type: typeString, Requirement: informational, Value: c.name})
	if !q.Save {
		list = append(list,
			Field{Name: fieldAllowStore, Type: typeBoolean, Requirement: control, Value: no},
			Field{Name: fieldAllowLookup, Type: typeBoolean, Requirement: control, Value: no})
	}
	if q.Keep {
		list = append(list, Field{Name: fieldKeep, Type: typeBoolean, Requirement: control, Value: yes})
	}
	return list
}

// accept checks an answer and notes what is to be saved of it. Fields that nobody
// asked for are taken out.
func (a *attempt) accept(q Question, answer Answer) error {
	save := q.Save && answer[fieldSave] == yes
	for _, f := range q.Fields {
		value, said := answer[f.Name]
		if !said || value == "" {
			if f.Requirement == mandatory && !answeredBy(answer, f.Alternates) {
				return fmt.Errorf("%w: %s is missing", ErrAnswer, f.Name)
			}
			continue
		}
		if err := a.checkField(f, value); err != nil {
			return fmt.Errorf("%w: %s %w", ErrAnswer, f.Name, err)
		}
	}
	asked := func(name string) bool {
		return slices.ContainsFunc(q.Fields, func(f Field) bool { return f.Name == name && f.Requirement != informational })
	}
	for name := range answer {
		if !asked(name) {
			delete(answer, name)
		}
	}
	if save {
		a.learn(q, answer)
	}
	return nil
}

func answeredBy(answer Answer, alternates []string) bool {
	return slices.ContainsFunc(alternates, func(name string) bool { return answer[name] != "" })
}

// checkField looks at a value as at the setting that it may become.
func (a *attempt) checkField(f Field, value logx.Secret) error {
	if f.Type == typeBoolean && value != yes && value != no {
		return fmt.Errorf("is neither true nor false")
	}
	key, known := a.c.kind.key(f.Key)
	if !known {
		key = Key{}
	}
	return key.CheckValue(value.Reveal())
}

func (a *attempt) learn(q Question, answer Answer) {
	for _, f := range q.Fields {
		if value := answer[f.Name]; f.Key != "" && value != "" {
			if a.learnt == nil {
				a.learnt = make(map[string]logx.Secret)
			}
			a.learnt[f.Key] = value
		}
	}
}
