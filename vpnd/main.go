// Command connman-vpnd is the VPN daemon: see connman-vpnd(8).
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

	"net.connman/pkg/background"
	"net.connman/pkg/logx"
	"net.connman/pkg/sdnotify"
	"net.connman/vpnd/internal/config"
)

// version is set by the build.
var version = "0"

const (
	program = "connman-vpnd"
	// configDir is where the configuration is on a system.
	configDir = "/etc/connman"
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
		fmt.Fprintln(os.Stderr, program+":", err)
		os.Exit(1)
	default:
		fmt.Fprintf(os.Stderr, "%s: %v; see %s --help\n", program, err, program)
		os.Exit(2)
	}
}

func run(o options) error {
	if os.Geteuid() != 0 {
		return errors.New("only root can make tunnels: start " + program + " as root")
	}
	if !o.foreground {
		return background.Start()
	}
	// Collecting early and often costs little in a daemon that mostly waits,
	// and keeps it as small as its users need.
	debug.SetGCPercent(50)
	debug.SetMemoryLimit(12 << 20)

	log := logger(o)
	slog.SetDefault(log)
	d, err := assemble(o, configuration(o, log), log)
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
	log := logx.New(logx.Options{Program: program, Foreground: !background.Inside(), Debug: filter.FromEnvironment()})
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
	cfg, problems := config.Load(path, configDir, types)
	for _, p := range problems {
		log.Warn("configuration: " + p.Error())
	}
	log.Info(program+" starts", "version", version, "configuration", filepath.Clean(path))
	return cfg
}

// serve runs the daemon until it is told to end, is idle for long or loses the
// bus.
func (d *daemon) serve() error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-signals:
			d.loop.Post("signal", d.end)
		case <-ctx.Done():
		}
	}()
	d.loop.Run(ctx)
	d.log.Info(program + " ends")
	return d.failure
}

// end takes all tunnels down and ends the daemon.
func (d *daemon) end() {
	if d.ending {
		return
	}
	d.ending = true
	// Who manages us may not listen; there is nothing to do about it.
	_ = sdnotify.Send(sdnotify.Stopping)
	d.loop.End()
	d.loop.After("end", endTimeout, func() {
		d.log.Error("a tunnel does not end in time, leaving it to the kernel")
		d.loop.Quit()
	})
	d.core.Stop(d.loop.Quit)
}

// fail ends the daemon because it cannot go on.
func (d *daemon) fail(err error) {
	d.failure = err
	if d.core == nil {
		d.loop.Quit()
		return
	}
	d.end()
}

// ready tells whoever waits that the daemon serves its callers.
func (d *daemon) ready() {
	d.log.Info("serving " + busName)
	if err := sdnotify.Send(sdnotify.Ready); err != nil {
		d.log.Warn("cannot tell the service manager", "err", err)
	}
	if background.Inside() {
		if err := background.Detach(); err != nil {
			d.log.Warn("cannot leave the terminal", "err", err)
		}
	}
}
