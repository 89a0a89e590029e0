package agent

import (
	"fmt"
	"io"
	"slices"

	"net.connman/pkg/bus"
)

// Question is what a person is asked.
type Question struct {
	Field  string // of the request, such as Passphrase; "" when it is about the whole
	Prompt string
	Hidden bool // the answer is a secret

	// Follows says that the person has seen a question of the same request, and
	// may have answered this one before it was shown. What was typed before the
	// first question of a request is meant for something else.
	Follows bool
}

// Person is who answers.
type Person interface {
	// Ask puts one question; there is none before it that is neither answered
	// nor withdrawn. answer is called once, in a later turn of the loop, with ok
	// false when the person would rather not say. After withdraw it is not called.
	Ask(q Question, answer func(line string, ok bool)) (withdraw func())
}

// Desk puts the requests of the agents to a person, one after the other.
type Desk struct {
	out      io.Writer
	person   Person
	requests []*request // the first is being put to the person
	withdraw func()     // the question that is open
}

// request is a call that a person has to answer.
type request struct {
	agent *Agent
	call  answerable
	begin func(*request)
	reply bus.Dict // what has been answered so far
	asked bool     // a question has been put
}

// answerable is a [bus.Call].
type answerable interface {
	Reply(values ...any)
	Error(err error)
}

// NewDesk returns a desk that writes what requests are about to out.
func NewDesk(out io.Writer, person Person) *Desk { return &Desk{out: out, person: person} }

func (d *Desk) add(r *request) {
	d.requests = append(d.requests, r)
	if len(d.requests) == 1 {
		r.begin(r)
	}
}

func (d *Desk) introduce(format string, args ...any) { fmt.Fprintf(d.out, format, args...) }

// ask asks again until accept takes the answer. When there is none, the request
// is answered as cancelled.
func (d *Desk) ask(r *request, q Question, accept func(line string) bool) {
	q.Follows, r.asked = r.asked, true
	d.withdraw = d.person.Ask(q, func(line string, ok bool) {
		switch {
		case !ok:
			d.cancel(r)
		case !accept(line):
			d.ask(r, q, accept)
		}
	})
}

func (d *Desk) cancel(r *request) {
	r.call.Error(&bus.Error{Name: r.agent.canceled, Text: "Canceled"})
	d.done(r)
}

// done takes a request that has its answer away and begins the next.
func (d *Desk) done(r *request) {
	first := d.requests[0] == r
	d.requests = slices.DeleteFunc(d.requests, func(have *request) bool { return have == r })
	if first && len(d.requests) > 0 {
		next := d.requests[0]
		next.begin(next)
	}
}

// drop cancels all that an agent was asked.
func (d *Desk) drop(a *Agent) {
	open := len(d.requests) > 0 && d.requests[0].agent == a
	if open {
		d.withdraw()
	}
	d.requests = slices.DeleteFunc(d.requests, func(r *request) bool {
		if r.agent == a {
			r.call.Error(&bus.Error{Name: a.canceled, Text: "Canceled"})
		}
		return r.agent == a
	})
	if open && len(d.requests) > 0 {
		d.requests[0].begin(d.requests[0])
	}
}

// asked reports whether an agent has requests.
func (d *Desk) asked(a *Agent) bool {
	return slices.ContainsFunc(d.requests, func(r *request) bool { return r.agent == a })
}
