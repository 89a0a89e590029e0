package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/busapi"
	"net.connman/vpnd/internal/config"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/provision"
	"net.connman/vpnd/internal/settings"
)

const (
	busName = "net.connman.vpn"
	// joinTimeout is how long the bus may take to let us in and then to give
	// us the name.
	joinTimeout = 10 * time.Second
	// endTimeout is how long tunnels may take to end when the daemon does.
	endTimeout = 10 * time.Second
)

// daemon is all that runs.
type daemon struct {
	loop      *loop.Loop
	log       *slog.Logger
	conn      *bus.Conn
	core      *core.Manager
	provision *provision.Directory
	lastCall  time.Time // of the loop: when somebody called us
	ending    bool
	failure   error // why it ends, nil when it was told to

	starters []func() // what providers do once the name is ours
	closers  []func() // in the order in which things were made
}

// assemble makes the parts and joins them. Nothing on the machine is changed
// before the bus name is ours, see begin: the tunnels may be another's.
func assemble(o options, cfg config.Config, log *slog.Logger) (*daemon, error) {
	d := &daemon{loop: loop.New(log), log: log}
	if err := d.build(o, cfg); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *daemon) build(o options, cfg config.Config) error {
	if err := d.dial(); err != nil {
		return err
	}
	d.own(cfg)
	d.conn.Flush() // callers find us from now on, and are served as soon as the loop runs
	store, kept, err := settings.Open(d.loop, d.log, settings.DefaultDir)
	if err != nil {
		return err
	}
	d.onClose(store.Close)
	providers := slices.DeleteFunc(d.providers(cfg), func(p core.Provider) bool { return !o.uses(p.Type()) })
	d.core = core.New(d.loop, d.log, cfg.Config, core.Ports{Storage: store, Agents: busapi.NewAgents(d.conn)}, providers, kept)
	owner := func(typ string) (uint32, error) { return cfg.Identity(typ).UID() }
	d.provision = provision.New(d.loop, d.log, provision.DefaultDir, providers, owner)
	_, err = busapi.New(d.conn, d.log, d.core, importer{d}, func() { d.lastCall = d.loop.Now() })
	return err
}

// begin goes to work, as the name is ours.
func (d *daemon) begin(cfg config.Config) {
	for _, dir := range []string{settings.DefaultDir, provision.DefaultDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			d.fail(fmt.Errorf("cannot keep settings: %w", err))
			return
		}
	}
	d.clean(func() { d.start(cfg) })
}

// start lets connections connect: the machine is as we want to find it.
func (d *daemon) start(cfg config.Config) {
	if d.ending {
		return
	}
	for _, start := range d.starters {
		start()
	}
	d.core.Begin()
	d.loop.AtEnd(d.provision.Watch(d.core.SetSpecs)) // the kernel takes its time over it
	if cfg.ExitWhenIdle > 0 {
		d.watchIdle(cfg.ExitWhenIdle)
	}
	d.loop.GiveBackMemory()
	d.ready()
}

// importer lets clients add provisioning files.
type importer struct{ *daemon }

// Import implements busapi.Importer.
func (i importer) Import(name, content string, files map[string]string, done func(*core.Connection, error)) {
	i.provision.Add(provision.File{Name: name, Content: content, Beside: files}, func(specs []core.Spec, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		i.core.SetSpecs(specs)
		first := slices.IndexFunc(specs, func(s core.Spec) bool { return s.File == name })
		if first >= 0 {
			if c := i.core.Provisioned(name, specs[first].Entry); c != nil {
				done(c, nil)
				return
			}
		}
		done(nil, fmt.Errorf("%w: the file is written, but what it describes is there already; see the log", core.ErrAlreadyExists))
	})
}

// watchIdle ends the daemon once nobody has had use of it for so long.
func (d *daemon) watchIdle(long time.Duration) {
	d.lastCall = d.loop.Now()
	var look func()
	look = func() {
		if d.core.Busy() {
			d.lastCall = d.loop.Now()
		}
		if left := long - d.loop.Now().Sub(d.lastCall); left > 0 {
			d.loop.After("idle", left, look)
			return
		}
		d.log.Info("nobody needs the daemon", "for", long)
		// Calls that are under way come before the answer; later ones start the
		// daemon again.
		d.conn.ReleaseName(busName, func(error) { d.end() })
	}
	d.loop.After("idle", long, look)
}

func (d *daemon) onClose(fn func()) { d.closers = append(d.closers, fn) }

// close ends all parts, last made first. The loop has ended.
func (d *daemon) close() {
	for _, fn := range slices.Backward(d.closers) {
		fn()
	}
}

func (d *daemon) dial() error {
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	conn, err := bus.Begin(ctx, d.loop, d.log, "")
	if err != nil {
		return fmt.Errorf("%w; is dbus-daemon running and its policy for %s installed?", err, busName)
	}
	conn.OnDisconnect(func(err error) { d.fail(err) })
	d.onClose(conn.Close)
	d.conn = conn
	return nil
}

// own asks for the bus name. Without it nobody finds the daemon, so it ends
// when the name cannot be had.
func (d *daemon) own(cfg config.Config) {
	patience := d.loop.After("bus name", joinTimeout, func() {
		d.fail(fmt.Errorf("the bus has not answered for %v; is dbus-daemon stuck? restart it", joinTimeout))
	})
	d.conn.RequestName(busName, func(err error) {
		patience.Stop()
		var taken *bus.NameTakenError
		switch {
		case d.ending || d.failure != nil: // the end has begun
		case errors.As(err, &taken):
			d.fail(fmt.Errorf("%w; stop that one first, two VPN daemons would undo each other's work", err))
		case err != nil:
			d.fail(fmt.Errorf("%w; does the bus policy allow it?", err))
		default:
			d.begin(cfg)
		}
	})
}
