package shell

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"net.connman/connmanctl/internal/agent"
	"net.connman/connmanctl/internal/command"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// shell joins a line reader and a session.
type shell struct {
	loop    *loop.Loop
	reader  lineReader
	session *command.Session
	out     *bufio.Writer // of one turn, so that lines stay whole

	previous string        // line, for the history
	next     chan struct{} // lets the reader ask for another line
	patient  bool          // a line waits until the one before is through
	waiting  bool          // the reader waits for next
	question answering     // open, and answered by the next line; nil when none is
}

// answering takes the answer to a question.
type answering func(line string, ok bool)

// Run reads and carries out commands until the user leaves, the input ends or
// the bus is gone. It runs l and returns the exit status: at a terminal 0,
// without one that of the last command.
func Run(l *loop.Loop, conn *bus.Conn) command.Status {
	sh := &shell{loop: l, next: make(chan struct{}, 1)}
	if err := sh.open(conn); err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", err)
		return command.Misused
	}
	defer sh.reader.Close()
	sh.out = bufio.NewWriterSize(sh.reader.Stdout(), 1<<20)
	sh.session = command.NewSession(conn, sh.out, ordered{sh.out, sh.reader.Stderr()}, true)
	sh.session.Person = sh
	status := command.Worked
	conn.OnDisconnect(func(error) {
		fmt.Fprintln(sh.session.Err, "Error: The connection to the message bus is gone")
		status = command.NoDaemon
		l.Quit()
	})
	l.AtTurnEnd(sh.endTurn)
	go sh.read()
	l.Run(context.Background())
	if sh.patient {
		status = max(status, sh.session.Status())
	}
	return status
}

// open picks the way to read lines.
func (sh *shell) open(conn *bus.Conn) error {
	if !isTerminal() {
		sh.patient = true
		sh.reader = &stream{bufio.NewReader(os.Stdin)}
		return nil
	}
	names := newNames(conn)
	t, err := newTerminal(sh.loop, names)
	if err != nil {
		return err
	}
	sh.reader = t
	names.follow(t.Stderr())
	sh.leaveWhenTold()
	return nil
}

// leaveWhenTold leaves at the signals that would otherwise end the process with
// the terminal as readline wants it.
func (sh *shell) leaveWhenTold() {
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		<-told
		sh.loop.Post("signal", sh.loop.Quit)
	}()
}

// read posts the lines to the loop, one at a time.
func (sh *shell) read() {
	for {
		line, err := sh.reader.ReadLine()
		sh.loop.Post("line", func() { sh.line(line, err) })
		if _, more := <-sh.next; !more {
			return
		}
	}
}

func (sh *shell) line(line string, err error) {
	words := split(line)
	switch {
	case sh.question != nil:
		sh.answer(line, err == nil)
	case err == errInterrupt && line != "":
	case len(words) > 0 && err == nil:
		sh.remember(line, words)
		sh.session.Execute(words)
	}
	if err != nil && (err != errInterrupt || line == "") || sh.session.Left() {
		sh.leave()
		return
	}
	sh.waiting = true
}

func (sh *shell) leave() {
	close(sh.next)
	sh.loop.Quit()
}

// endTurn shows what the turn brought and asks for the next line.
func (sh *shell) endTurn() {
	sh.out.Flush()
	if sh.waiting && (!sh.patient || sh.session.Answered() || sh.question != nil) {
		sh.waiting = false
		sh.next <- struct{}{}
	}
}

// Ask is how the agents ask: at a terminal in a line of its own, otherwise the
// next line of the input is the answer.
func (sh *shell) Ask(q agent.Question, answer func(line string, ok bool)) (withdraw func()) {
	sh.out.Flush()
	if t, ok := sh.reader.(*terminal); ok {
		return t.Ask(q, answer)
	}
	sh.question = answer
	return func() { sh.question = nil }
}

func (sh *shell) answer(line string, ok bool) {
	answer := sh.question
	sh.question = nil
	answer(line, ok)
}

// remember puts a line into the history, unless it repeats the one before or
// carries a passphrase. A line that is no command may be a passphrase that was
// typed at the wrong moment: it does not outlast the run.
func (sh *shell) remember(line string, words []string) {
	if line != sh.previous && !command.Secret(words) {
		sh.reader.Remember(line, command.Known(words[0]))
		sh.previous = line
	}
}

// split returns the words of a line. Only spaces part them, and there is no way
// to quote one, as in the reference client.
func split(line string) []string {
	return slices.DeleteFunc(strings.Split(line, " "), func(word string) bool { return word == "" })
}
