package child

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/task"
	"net.connman/vpnd/internal/tun"
)

// answerTime is how long the program and its server may take to make a tunnel,
// not counting the time in which the user is asked. Some programs would try for
// ever, and one that hangs says nothing.
const answerTime = 2 * time.Minute

// Config is what attempts need.
type Config struct {
	Loop     *loop.Loop
	Log      *slog.Logger
	Tasks    *task.Runner
	Identity proc.Identity // of the program
}

// Attempt is a tunnel from Connect to Ended.
type Attempt struct {
	cfg    Config
	id     string
	ask    core.Asker
	report func(core.Event)

	program        Program
	cancelQuestion func()
	link           tun.Link
	linked         bool
	task           *task.Task
	limit          *loop.Timer // for a tunnel that is not there yet
	wasUp          bool
	working        int  // how often the kernel is at work for us
	over           bool // it ends, as last says
	last           core.Ended
	ended          bool // Ended was reported
}

// New begins an attempt, which does nothing yet: call Ask or Run.
func New(cfg Config, req core.Request, report func(core.Event)) *Attempt {
	return &Attempt{cfg: cfg, id: req.ID, ask: req.Ask, report: report}
}

// Ask asks the user. answered is called with all that is mandatory; if the user
// does not say it, the attempt ends. A program that asks more before it has its
// answer is not heeded.
func (a *Attempt) Ask(q core.Question, answered func(core.Answer)) {
	if a.over || a.cancelQuestion != nil {
		return
	}
	a.limit.Stop()
	a.cancelQuestion = a.ask.Ask(q, func(answer core.Answer, err error) {
		a.cancelQuestion = nil
		a.await()
		if err != nil {
			a.Fail(core.LoginFailed, err)
			return
		}
		answered(answer)
	})
}

// waitNoMore is for an attempt that ends.
func (a *Attempt) waitNoMore() {
	a.limit.Stop()
	if a.cancelQuestion != nil {
		a.cancelQuestion()
		a.cancelQuestion = nil
	}
}

// await gives the program time to make the tunnel.
func (a *Attempt) await() {
	a.limit.Stop()
	if a.task != nil && !a.wasUp && !a.over {
		a.limit = a.cfg.Loop.After("VPN program", answerTime, func() {
			a.Fail(core.ConnectFailed, errors.New("the server does not answer"))
		})
	}
}

// Program says how one program is run. Functions may be nil but for Spec, Heard
// and Ended.
type Program struct {
	// Kind is of the link that is made for the program; 0 if it makes its own.
	Kind tun.Kind
	// Spec says what to run.
	Spec func(Place) proc.Spec
	// Started is called once the program can be sent its input.
	Started func()
	// Output gets what the program writes.
	Output func(line string)
	// Heard reads what the program tells its script. An error ends the attempt.
	Heard func(reason string, env map[string]string) (News, error)
	// Ended says why the program ended by itself.
	Ended func(proc.Exit) (core.Cause, error)
}

// Place is what a program's tunnel has.
type Place struct {
	Link   string   // its name, "" if none was made
	Script string   // the program to report with
	Dir    string   // the program's own directory
	Env    []string // what the script needs, as "NAME=value": see [task.Task.Env]
}

// News is what a script has reported.
type News struct {
	// Event is Up, but for the link's index, or Reconnecting; nil if nothing of
	// interest has happened.
	Event core.Event
	// Link is the name of the link that the program has made, which is pppd.
	Link string
	// Skipped is what was wrong, and left out.
	Skipped []error
}

// Run makes the link and has the program attach to it.
func (a *Attempt) Run(p Program) {
	a.program = p
	if p.Kind == 0 {
		a.start()
		return
	}
	a.working++
	loop.Go(a.cfg.Loop, "make a link", func(context.Context) (tun.Link, error) {
		owner, err := a.cfg.Identity.UID()
		if err != nil {
			return tun.Link{}, err
		}
		return tun.Create(p.Kind, owner, a.id)
	}, func(link tun.Link, err error) {
		a.working--
		a.link, a.linked = link, err == nil
		if err != nil {
			a.Fail(core.ConnectFailed, err)
		}
		if a.over {
			a.leave()
			return
		}
		a.start()
	})
}

func (a *Attempt) start() {
	a.task = a.cfg.Tasks.Task(task.Handler{Notify: a.hear, Output: a.program.Output, Ended: a.exited})
	spec := a.program.Spec(Place{
		Link: a.link.Name, Script: a.cfg.Tasks.NotifyProgram(), Dir: a.task.Dir(), Env: a.task.Env(),
	})
	spec.Identity = a.cfg.Identity
	spec.Env = append(spec.Env, a.task.Env()...)
	a.task.Start(spec)
	a.await()
	if a.program.Started != nil {
		a.program.Started()
	}
}

// Send writes to the program's standard input.
func (a *Attempt) Send(text logx.Secret) {
	if a.task != nil && !a.over {
		a.task.Send(text)
	}
}

// CloseInput ends the program's standard input behind what was sent.
func (a *Attempt) CloseInput() {
	if a.task != nil && !a.over {
		a.task.CloseInput()
	}
}

// Fail ends the attempt. What is said first counts.
func (a *Attempt) Fail(cause core.Cause, err error) {
	if a.over {
		return
	}
	a.over, a.last = true, core.Ended{Cause: cause, Err: err}
	a.waitNoMore()
	if a.task != nil {
		a.task.Stop()
		return
	}
	// Who connects has not got the attempt yet, maybe.
	a.cfg.Loop.Post("VPN ends", a.leave)
}

// Over reports whether the attempt has failed or was stopped.
func (a *Attempt) Over() bool { return a.over }

// Stop implements [core.Attempt].
func (a *Attempt) Stop() { a.Fail(core.Stopped, nil) }

// maxComplaints is how much of one report is logged as wrong.
const maxComplaints = 5

// hear gets what the program tells its script.
func (a *Attempt) hear(reason string, env map[string]string) error {
	news, err := a.program.Heard(reason, env)
	for _, s := range news.Skipped[:min(len(news.Skipped), maxComplaints)] {
		a.cfg.Log.Warn("the VPN's server says what cannot be", "connection", a.id, "err", s)
	}
	if err != nil {
		a.Fail(core.ConnectFailed, err)
		return err
	}
	switch e := news.Event.(type) {
	case core.Up:
		a.up(e.Tunnel, news.Link)
	case core.Reconnecting:
		if !a.over {
			a.report(e)
		}
	}
	return nil
}

// up brings the link up, the attempt's or the one of that name, and says so.
func (a *Attempt) up(t core.Tunnel, name string) {
	link := a.link
	a.working++
	loop.Go(a.cfg.Loop, "bring up a link", func(context.Context) (index int, err error) {
		if name != "" {
			if link, err = tun.FindPPP(name); err != nil {
				return 0, err
			}
		}
		return link.Index, link.Up()
	}, func(index int, err error) {
		a.working--
		switch {
		case err != nil:
			a.Fail(core.ConnectFailed, err)
		case !a.over:
			a.wasUp = true
			a.limit.Stop()
			t.Index = index
			a.report(core.Up{Tunnel: t})
		}
		a.leave()
	})
}

func (a *Attempt) exited(exit proc.Exit) {
	a.task = nil
	a.waitNoMore()
	if !a.over {
		a.over = true
		a.last.Cause, a.last.Err = a.program.Ended(exit)
	}
	a.leave()
}

// leave takes the link away and reports the end, once nothing is under way any
// more.
func (a *Attempt) leave() {
	switch {
	case !a.over || a.working > 0 || a.task != nil || a.ended:
	case a.linked:
		a.working++
		a.linked = false
		link := a.link
		loop.Go(a.cfg.Loop, "remove a link", func(context.Context) (struct{}, error) {
			return struct{}{}, tun.Remove(link)
		}, func(_ struct{}, err error) {
			a.working--
			if err != nil {
				a.cfg.Log.Error("a tunnel's link is left", "connection", a.id, "err", err)
			}
			a.leave()
		})
	default:
		a.ended = true
		a.report(a.last)
	}
}
