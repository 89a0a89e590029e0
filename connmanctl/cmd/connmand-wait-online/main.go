// Command connmand-wait-online ends when the network is up: when a service on
// one of the interfaces that count is ready or online.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// States of services that count.
const (
	ready  = "ready"
	online = "online"
)

// The exit statuses are error numbers, as they are in the reference.
const (
	up       = 0
	noBus    = int(syscall.ENOPROTOOPT)
	misused  = int(syscall.EOPNOTSUPP)
	timedOut = int(syscall.ETIMEDOUT)
)

// version is set by the linker.
var version = "unknown"

// options say what to wait for.
type options struct {
	wanted  []wanted // interfaces that count; all when empty
	ignored []string // those that never count
	any     bool     // one of wanted is enough, also of those with a state of their own
	state   string   // that a service must have reached: ready or online
	family  string   // of the address that it must have: 4, 6 or any
	timeout time.Duration
	version bool
}

// wanted is an interface that counts.
type wanted struct {
	name  string
	state string // that it must reach, together with all others that have one; "" for options.state
}

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	o, err := parse(args, os.Stdout)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return up
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return misused
	case o.version:
		fmt.Println(version)
		return up
	}
	log := slog.New(slog.DiscardHandler)
	l := loop.New(log)
	conn, err := bus.Dial(context.Background(), l, log, "")
	if err != nil {
		fmt.Fprintf(os.Stderr, "Error: %s\n", view.NoBus(err))
		return noBus
	}
	conn.AcceptLarge()
	return wait(l, conn, o)
}

// parse reads the command line; help goes to out.
func parse(args []string, out io.Writer) (options, error) {
	flags := pflag.NewFlagSet("connmand-wait-online", pflag.ContinueOnError)
	interfaces := flags.StringP("interface", "i", "", "networking `devices` that count, separated by commas: one has to be connected,\n"+
		"and each that is written as DEVICE:STATE in that state")
	ignored := flags.StringP("ignore", "I", "", "networking `devices` that do not count")
	either := flags.Bool("any", false, "one of the devices is enough, also when several have a state")
	state := flags.String("state", ready, "`state` that counts: ready (connected) or online (the Internet answers)")
	family := flags.String("family", "any", "`family` of the address that is needed: 4, 6 or any")
	seconds := flags.Uint32("timeout", 120, "`seconds` to wait for the network, 0 for ever")
	show := flags.BoolP("version", "v", false, "print the version and exit")
	flags.SetOutput(io.Discard)
	flags.Usage = func() {
		fmt.Fprintf(out, "Usage:\n  connmand-wait-online [OPTION...]\n\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	o := options{
		ignored: list(*ignored),
		any:     *either,
		state:   *state,
		family:  *family,
		timeout: time.Duration(*seconds) * time.Second,
		version: *show,
	}
	for _, text := range list(*interfaces) {
		name, state, _ := strings.Cut(text, ":")
		o.wanted = append(o.wanted, wanted{name, state})
	}
	return o, o.check()
}

// check refuses words that are neither states nor families.
func (o options) check() error {
	states := []string{o.state}
	for _, w := range o.wanted {
		states = append(states, cmp.Or(w.state, ready))
	}
	for _, state := range states {
		if state != ready && state != online {
			return fmt.Errorf("state is %q, must be %s or %s", state, ready, online)
		}
	}
	if !slices.Contains([]string{"4", "6", "any"}, o.family) {
		return fmt.Errorf("family is %q, must be 4, 6 or any", o.family)
	}
	return nil
}

func list(names string) []string {
	return strings.FieldsFunc(names, func(r rune) bool { return r == ',' })
}
