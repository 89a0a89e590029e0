package task

import (
	"context"
	"errors"

	"net.connman/pkg/bus"
	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
)

// server is a task on the bus. The methods are not the task's, since they are
// for nobody else.
type server struct{ task *Task }

// Notify passes a report on if it is the task's own.
func (s server) Notify(call *bus.Call, reason string, dict bus.Array) {
	t := s.task
	env := make(map[string]string, len(dict.Items))
	for _, item := range dict.Items {
		entry := item.(bus.Struct) // the bus checked the signature
		env[entry[0].(string)] = entry[1].(string)
	}
	if !t.accepts(env[EnvSecret]) {
		t.refuse(call, errors.New("it does not know the secret"))
		return
	}
	delete(env, EnvSecret)
	t.whenRunning(func() { t.checkCaller(call, func() { t.deliver(call, reason, env) }) })
}

func (t *Task) deliver(call *bus.Call, reason string, env map[string]string) {
	if t.over {
		t.refuse(call, errors.New("the program has ended"))
		return
	}
	t.trusted[call.Sender] = true
	if t.handler.Notify != nil {
		if err := t.handler.Notify(reason, env); err != nil {
			t.runner.log.Warn("cannot use what a program reports", "reason", reason, "why", err)
			call.Error(bus.ErrInvalidArguments)
			return
		}
	}
	call.Reply()
}

// whenRunning runs fn when it is known whether the program runs: its script may
// be faster than that news.
func (t *Task) whenRunning(fn func()) {
	if t.process.PID() == 0 && !t.over {
		t.early = append(t.early, fn)
		return
	}
	fn()
}

// Getsec passes on a question for user and password.
func (s server) Getsec(call *bus.Call) {
	t := s.task
	if !t.trusted[call.Sender] {
		t.refuse(call, errors.New("it has not shown the secret"))
		return
	}
	if t.handler.Getsec == nil {
		call.Error(bus.ErrNotSupported)
		return
	}
	t.handler.Getsec(func(user string, password logx.Secret, err error) {
		if err != nil {
			call.Error(err)
			return
		}
		call.Reply(user, password.Reveal())
	})
}

// checkCaller calls accept if the caller runs as the child's user, or root, and
// its process is of the child's family. Else it answers the call.
func (t *Task) checkCaller(call *bus.Call, accept func()) {
	t.runner.conn.Credentials(call.Sender, func(who bus.Credentials, err error) {
		child := t.process.PID()
		switch {
		case err != nil:
			t.refuse(call, err)
		case child == 0:
			t.refuse(call, errors.New("the program does not run"))
		case who.UID != 0 && who.UID != t.process.UID():
			t.refuse(call, errors.New("it is of another user"))
		default:
			loop.Go(t.runner.loop, "family", func(context.Context) (bool, error) {
				return proc.Family(int(who.PID), child), nil
			}, func(family bool, _ error) {
				if !family {
					t.refuse(call, errors.New("the program has not started it"))
					return
				}
				accept()
			})
		}
	})
}

// refuse answers a call that no script of the task's has made.
func (t *Task) refuse(call *bus.Call, why error) {
	t.runner.log.Warn("refused a report on a tunnel", "from", call.Sender, "why", why)
	call.Error(bus.ErrPermissionDenied)
}
