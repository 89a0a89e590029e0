// Command connmand is the network daemon: see connmand(8).
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"syscall"

	"net.connman/connmand/internal/config"
	"net.connman/pkg/background"
	"net.connman/pkg/logx"
	"net.connman/pkg/sdnotify"
)

// Set by the build.
var (
	version = "0"
	// libexecDir has the programs that only we start.
	libexecDir = "/usr/libexec/connman"
)

// Where things are on a system.
const (
	configDir = "/etc/connman"
	// leaseDir is not below /run/connman: whether that directory is there
	// decides where the name servers are written, and that is for the system
	// to say, not for us by making it.
	leaseDir = "/run/connman-leases"
)

func main() {
	ran := false
	var failed background.FailedStatus
	err := command(version, func(o options) error { ran = true; return run(o) }).Execute()
	switch {
	case err == nil:
	case errors.As(err, &failed):
		os.Exit(int(failed))
	case ran:
		fmt.Fprintln(os.Stderr, "connmand:", err)
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "connmand: %v; see connmand --help\n", err)
		os.Exit(2)
	}
}

func run(o options) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can configure the network: start connmand as root")
	}
	if !o.foreground {
		return background.Start()
	}
	// Collecting early and often costs little in a daemon that mostly waits,
	// and keeps it as small as its users need.
	debug.SetGCPercent(50)
	// The limit is met by crowds of some hundred links: then it collects more
	// often rather than to have a moment's litter stay.
	debug.SetMemoryLimit(15 << 20)

	log := logger(o)
	slog.SetDefault(log)
	cfg := configuration(o, log)
	d, err := assemble(o, cfg, log)
	if err != nil {
		return err
	}
	defer d.close()
	return d.serve()
}

func logger(o options) *slog.Logger {
	filter, warnings := logx.Filter{}, []string(nil)
	if o.debugging {
		filter, warnings = logx.ParseFilter(o.debug)
	}
	log := logx.New(logx.Options{Program: "connmand", Foreground: !background.Inside(), Debug: filter.FromEnvironment()})
	for _, w := range warnings {
		log.Warn(w)
	}
	return log
}

func configuration(o options, log *slog.Logger) config.Config {
	path := o.config
	if path == "" {
		path = config.DefaultPath(configDir)
	} else if _, err := os.Stat(path); err != nil {
		log.Warn("cannot read the configuration, going on with defaults", "err", err)
	}
	cfg, problems := config.Load(path)
	for _, p := range problems {
		log.Warn("configuration: " + p.Error())
	}
	log.Info("connmand starts", "version", version, "configuration", filepath.Clean(path))
	return cfg
}

// serve runs the daemon until it is told to end or loses the bus.
func (d *daemon) serve() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case s := <-signals:
			d.loop.Post("signal", func() { d.end(s) })
		case <-ctx.Done():
		}
	}()
	d.loop.Run(ctx)
	d.log.Info("connmand ends")
	return d.failure
}

// end ends the daemon as the signal wants it: leaving the network as it is for
// a next run, or taking back what was configured.
func (d *daemon) end(s os.Signal) {
	// Who manages us may not listen; there is nothing to do about it.
	_ = sdnotify.Send(sdnotify.Stopping)
	if s == syscall.SIGUSR1 {
		d.leave()
		return
	}
	d.loop.End()
	d.resolver.Stop()
	d.core.Stop(d.loop.Quit)
}

// fail ends the daemon because it cannot go on.
func (d *daemon) fail(err error) {
	d.failure = err
	d.leave()
}

// leave ends the daemon and leaves the network as it is for the next run.
func (d *daemon) leave() {
	d.detached = true
	d.loop.End()
	d.core.Detach()
	d.loop.Quit()
}

// ready tells whoever waits that the daemon serves its callers.
func (d *daemon) ready() {
	d.log.Info("serving net.connman")
	if err := sdnotify.Send(sdnotify.Ready); err != nil {
		d.log.Warn("cannot tell the service manager", "err", err)
	}
	if background.Inside() {
		if err := background.Detach(); err != nil {
			d.log.Warn("cannot leave the terminal", "err", err)
		}
	}
}
