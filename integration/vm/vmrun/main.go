// Command vmrun runs a program in a virtual machine and ends with its status:
//
//	go test -exec 'vmrun -module "mac80211_hwsim radios=0"' ./integration/wifi
//
// The program has the paths, the working directory and the CONNMAN_ variables
// that it would have outside.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"net.connman/integration/vm"
)

func main() {
	g := vm.Guest{Peers: os.Getenv("CONNMAN_REFERENCE"), Output: os.Stdout}
	flag.Func("module", "kernel `MODULE` to load, with its parameters; may be repeated", func(m string) error {
		g.Modules = append(g.Modules, m)
		return nil
	})
	flag.StringVar(&g.Share, "share", "", "`DIRECTORY` that the guest may write to, as "+vm.ShareDir)
	limit := flag.Duration("timeout", 15*time.Minute, "end after this `TIME`")
	flag.Parse()
	g.Command = flag.Args()
	if len(g.Command) == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, variable := range os.Environ() {
		if strings.HasPrefix(variable, "CONNMAN_") {
			g.Env = append(g.Env, variable)
		}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP)
	ctx, stop := context.WithTimeout(ctx, *limit)
	err := run(ctx, g)
	stop()
	cancel()
	var exit *vm.ExitError
	switch {
	case errors.As(err, &exit):
		os.Exit(exit.Status)
	case err != nil:
		fmt.Fprintln(os.Stderr, "vmrun:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, g vm.Guest) (err error) {
	if g.Dir, err = os.Getwd(); err != nil {
		return err
	}
	return vm.Run(ctx, g)
}
