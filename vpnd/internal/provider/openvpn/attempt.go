package openvpn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"net.connman/pkg/loop"
	"net.connman/pkg/proc"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/task"
	"net.connman/vpnd/internal/tun"
)

// answerTime is how long the server may take to make a tunnel, not counting the
// time in which the user is asked. Openvpn itself would try for ever.
const answerTime = 2 * time.Minute

// attempt is an openvpn that runs, or is about to.
type attempt struct {
	*Provider
	req    core.Request
	report func(core.Event)

	link     tun.Link
	task     *task.Task // nil before it runs
	socket   *socket
	limit    *loop.Timer // for a tunnel that is not there yet
	stopping bool

	connected bool // the tunnel is there
	wasUp     bool // it was once

	asking    func() // cancels the question
	asked     bool   // the user was
	given     map[string]credentials
	challenge *dynamicChallenge
	failure   string // why the user is asked again
	refusals  int

	cause  core.Cause // with err
	err    error      // why it has to end
	detail string     // openvpn's last words
}

// linked goes on with the link that was made.
func (a *attempt) linked(link tun.Link, err error) {
	a.link = link
	path := ""
	if err == nil {
		path, err = proc.Find(program)
	}
	if err != nil {
		a.fail(core.ConnectFailed, err)
	}
	if err != nil || a.stopping {
		a.cleanUp(proc.Exit{})
		return
	}
	a.task = a.tasks.Task(task.Handler{Notify: a.notified, Output: a.read, Ended: a.cleanUp})
	management := a.task.File("management")
	a.socket = newSocket(a.loop, management, a.hear)
	_ = a.socket.send("state on") // there is room for the first commands
	a.task.Start(proc.Spec{
		Program: path,
		Args: arguments(a.req.Settings, place{
			link: link.Name, management: management, notify: a.tasks.NotifyProgram(), env: a.task.Env(),
		}),
		Env:      []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"},
		Identity: a.identity,
		Prepare:  a.socket.listen,
	})
	a.await()
}

// await gives the server time for its answer.
func (a *attempt) await() {
	a.limit.Stop()
	a.limit = a.loop.After("openvpn", answerTime, func() {
		a.fail(core.ConnectFailed, errors.New("the server does not answer"))
	})
}

// Stop implements [core.Attempt].
func (a *attempt) Stop() {
	a.stopping = true
	a.end()
}

// fail ends the tunnel for a reason; the first one counts.
func (a *attempt) fail(cause core.Cause, err error) {
	if a.err == nil {
		a.cause, a.err = cause, err
	}
	a.end()
}

func (a *attempt) end() {
	a.cancelQuestion()
	a.limit.Stop()
	a.connected = false
	if a.task != nil {
		a.task.Stop()
	}
}

// cleanUp takes away what is left when openvpn has ended, or never began.
func (a *attempt) cleanUp(exit proc.Exit) {
	a.task = nil
	a.end()
	if a.socket != nil {
		a.socket.close()
	}
	loop.Go(a.loop, "tunnel link", func(context.Context) (struct{}, error) {
		if a.link.Index == 0 {
			return struct{}{}, nil
		}
		return struct{}{}, tun.Remove(a.link)
	}, func(_ struct{}, err error) {
		if err != nil {
			a.log.Error("a link is left", "why", err)
		}
		a.report(a.verdict(exit))
	})
}

// verdict says why it ended.
func (a *attempt) verdict(exit proc.Exit) core.Ended {
	switch {
	case a.stopping:
		return core.Ended{}
	case a.err != nil:
		return core.Ended{Cause: a.cause, Err: a.err}
	case exit.Err != nil:
		return core.Ended{Cause: core.ConnectFailed, Err: exit.Err}
	case a.refusals > 0:
		return core.Ended{Cause: core.AuthFailed, Err: errors.New("the server refuses the credentials")}
	case a.wasUp && exit.Code == 0 && exit.Signal == 0:
		return core.Ended{Err: fmt.Errorf("openvpn ended (%s)", a.detail)}
	}
	return core.Ended{Cause: core.ConnectFailed, Err: fmt.Errorf("openvpn ended with %v (%s)", exit, a.detail)}
}

// notified is what the up script reports: the server has let us in, and openvpn
// goes on once we have answered.
func (a *attempt) notified(reason string, env map[string]string) error {
	if reason != "up" {
		return nil
	}
	tunnel, skipped, err := readTunnel(env)
	if err != nil {
		a.fail(core.ConnectFailed, err)
		return err
	}
	a.complain(skipped)
	tunnel.Index = a.link.Index
	a.established(tunnel)
	return nil
}

// read looks for what openvpn says before it can say it on the management
// interface.
func (a *attempt) read(line string) {
	if why, ok := strings.CutPrefix(line, "Options error: "); ok && a.detail == "" {
		a.detail = core.Readable(why)
	}
}

// complain logs what the server has said wrong, without letting it fill the log.
func (a *attempt) complain(skipped []error) {
	const most = 5
	for i, err := range skipped {
		if i == most {
			a.log.Warn("the server said more that cannot be used", "times", len(skipped)-most, "id", a.req.ID)
			return
		}
		a.log.Warn("the server said something that cannot be used", "why", err, "id", a.req.ID)
	}
}

// hear is what openvpn says on the management interface.
func (a *attempt) hear(line string) {
	switch e := parse(line).(type) {
	case state:
		a.moved(e)
	case needed:
		a.need(e)
	case refused:
		a.refuse(e)
	case pending:
		a.askPending(e.challenge)
	case wanted:
		a.say(e.command + " " + quote(e.what) + " cancel")
	case fatal:
		a.detail = core.Readable(e.why)
		a.log.Error("openvpn gives up", "why", a.detail, "id", a.req.ID)
	}
}

// say gives openvpn a command.
func (a *attempt) say(command string) {
	if err := a.socket.send(command); err != nil {
		a.fail(core.ConnectFailed, err)
	}
}

// wrongPassphrase is why openvpn starts anew when a key cannot be opened; not all
// versions say it as a refusal.
const wrongPassphrase = "private-key-password-failure"

// moved follows the state of the connection.
func (a *attempt) moved(s state) {
	if s.name != "RECONNECTING" && s.name != "EXITING" {
		return
	}
	a.detail = core.Readable(s.detail)
	if _, given := a.given[needPassphrase]; given && s.detail == wrongPassphrase {
		a.refuse(refused{what: needPassphrase})
	}
	if a.connected {
		a.connected = false
		a.report(core.Reconnecting{})
	}
}

// established says that the tunnel is up. The link has been from the beginning.
func (a *attempt) established(tunnel core.Tunnel) {
	a.connected, a.wasUp = true, true
	a.limit.Stop()
	a.cancelQuestion()
	a.refusals, a.failure = 0, ""
	a.keepPassphrase()
	a.report(core.Up{Tunnel: tunnel})
}
