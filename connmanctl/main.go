// Command connmanctl steers connmand from the command line or from a prompt.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"net.connman/connmanctl/internal/command"
	"net.connman/connmanctl/internal/shell"
	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// gcPercent lets a short life pass without collecting garbage.
const gcPercent = 800

func main() {
	debug.SetGCPercent(gcPercent)
	os.Exit(int(run(os.Args[1:])))
}

func run(words []string) command.Status {
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	conn, err := bus.Begin(context.Background(), l, log, "")
	if err != nil && len(words) > 0 && words[0] == "--complete" {
		command.WriteCompletions(os.Stdout, &command.Names{Single: true}, words[1:])
		return command.Worked
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", view.NoBus(err))
		return command.NoDaemon
	}
	conn.AcceptLarge()
	if len(words) == 0 {
		return shell.Run(l, conn)
	}
	return once(l, conn, words)
}

// once carries out one command. It returns when nothing more can come: at once,
// with the last answer, or, while signals are watched, with the bus.
func once(l *loop.Loop, conn *bus.Conn, words []string) command.Status {
	if words[0] == "--help" || words[0] == "-h" {
		words = []string{"help"}
	}
	out := bufio.NewWriterSize(os.Stdout, 1<<16)
	session := command.NewSession(conn, out, os.Stderr, false)
	session.Later = func(fn func()) { l.Post("later", fn) }
	if person := shell.NewPerson(l, func() { out.Flush() }); person != nil {
		session.Person = person
		defer person.Close()
	}
	lost := command.Worked
	conn.OnDisconnect(func(error) { lost = command.NoDaemon; l.Quit() })
	l.Post("command", func() {
		if words[0] == "--complete" {
			session.Complete(words[1:])
		} else {
			session.Execute(words)
		}
	})
	l.AtTurnEnd(func() {
		out.Flush()
		if !session.Busy() || session.Left() {
			l.Quit()
		}
	})
	l.Run(context.Background())
	return max(session.Status(), lost)
}
