// Command connmand-wait-online ends when the network is up: when a service on
// one of the interfaces that count is ready or online.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"net.connman/connmanctl/internal/view"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
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
	interfaces []string // those that count; all when empty
	ignored    []string // those that never count
	timeout    time.Duration
	version    bool
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
	return wait(l, conn, o)
}

// parse reads the command line; help goes to out.
func parse(args []string, out io.Writer) (options, error) {
	flags := pflag.NewFlagSet("connmand-wait-online", pflag.ContinueOnError)
	interfaces := flags.StringP("interface", "i", "", "networking `devices` that count, separated by commas")
	ignored := flags.StringP("ignore", "I", "", "networking `devices` that do not count")
	seconds := flags.Uint32("timeout", 120, "`seconds` to wait for the network, 0 for ever")
	show := flags.BoolP("version", "v", false, "print the version and exit")
	flags.SetOutput(io.Discard)
	flags.Usage = func() {
		fmt.Fprintf(out, "Usage:\n  connmand-wait-online [OPTION…]\n\n%s", flags.FlagUsages())
	}
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	return options{
		interfaces: list(*interfaces),
		ignored:    list(*ignored),
		timeout:    time.Duration(*seconds) * time.Second,
		version:    *show,
	}, nil
}

func list(names string) []string {
	return strings.FieldsFunc(names, func(r rune) bool { return r == ',' })
}
