package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"net.connman/connmand/internal/acd"
	"net.connman/connmand/internal/busapi"
	"net.connman/connmand/internal/config"
	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/dhcp4"
	"net.connman/connmand/internal/dhcp6"
	"net.connman/connmand/internal/dnsproxy"
	"net.connman/connmand/internal/dnstls"
	"net.connman/connmand/internal/hostname"
	"net.connman/connmand/internal/ipv4ll"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/link"
	"net.connman/connmand/internal/ndisc"
	"net.connman/connmand/internal/netroot"
	"net.connman/connmand/internal/online"
	"net.connman/connmand/internal/opaque"
	"net.connman/connmand/internal/provision"
	"net.connman/connmand/internal/resolved"
	"net.connman/connmand/internal/resolver"
	"net.connman/connmand/internal/rfkill"
	"net.connman/connmand/internal/settings"
	"net.connman/connmand/internal/suspend"
	"net.connman/connmand/internal/tech/ethernet"
	"net.connman/connmand/internal/tech/vpn"
	"net.connman/connmand/internal/tech/wifi"
	"net.connman/connmand/internal/timezone"
	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

const (
	busName = "net.connman"
	// joinTimeout is how long the bus may take to let us in and then to give
	// us the name.
	joinTimeout = 10 * time.Second
)

// daemon is all that runs.
type daemon struct {
	loop     *loop.Loop
	log      *slog.Logger
	core     *core.Manager
	links    *link.Table
	names    *hostname.Names
	resolver *resolver.Resolver
	named    bool           // the bus name is ours
	early    []kernel.Event // what the kernel reported before that
	vpns     func()         // begins with VPNs, unless nil
	failure  error          // why it ends, nil when it was told to
	// detached says that the network stays as it is for the next run.
	detached bool

	closers []func() // in the order in which things were made
}

// assemble makes the parts and joins them. The order matters for speed: what
// callers see first comes first. Nothing on the machine is changed before the
// bus name is ours, see begin: the network may be another's.
func assemble(o options, cfg config.Config, log *slog.Logger) (*daemon, error) {
	d := &daemon{loop: loop.New(log), log: log}
	if err := d.build(o, cfg); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

func (d *daemon) build(o options, cfg config.Config) error {
	log := d.log
	conn, err := d.dial()
	if err != nil {
		return err
	}
	d.own(conn)
	conn.Flush() // callers find us from now on, and are served as soon as the loop runs
	store, global, err := settings.Open(d.loop, log, settings.DefaultDir)
	if err != nil {
		return err
	}
	d.onClose(store.Close)
	netlink, err := kernel.Open(log)
	if err != nil {
		return err
	}
	links := link.New(d.loop, netlink, log)
	d.links = links
	if d.names, err = hostname.New(log); err != nil {
		return err
	}
	d.resolver = d.newResolver(o, cfg, conn)
	d.names.OnChange(d.resolver.SetNames)
	conflicts := acd.New(d.loop, log)
	secret := secretKey(log)
	ports := core.Ports{
		Links: links,
		DHCP4: dhcp4.New(dhcp4.Config{
			Loop: d.loop, Log: log, Dir: leaseDir,
			Conflicts: conflicts, OnLink: onLink(links), Find: conflicts.Find,
		}),
		DHCP6: dhcp6.New(dhcp6.Config{
			Loop: d.loop, Log: log, Dir: leaseDir, OnLink: onLink(links),
		}),
		RouterDiscovery: ndisc.New(ndisc.Config{Loop: d.loop, Log: log, LinkLocal: links.LinkLocal}),
		Conflicts:       conflicts,
		LinkLocal:       ipv4ll.New(d.loop, conflicts),
		Prober:          online.New(d.loop, version),
		Resolver:        d.resolver,
		Hostnames:       d.names,
		Storage:         store,
		Agents:          busapi.NewAgents(conn),
		OpaqueAddress:   opaqueAddress(cfg, secret),
	}
	switches := d.openSwitches()
	if switches != nil {
		ports.Radios = switches
	}
	d.core = core.New(d.loop, log, cfg.Config, ports, global)
	if switches != nil {
		switches.Run(d.core.SetRadio)
	}
	if _, err := busapi.New(conn, d.loop, log, d.core); err != nil {
		return err
	}
	d.runKernel(netlink)
	d.startBearers(o, cfg, conn, secret)
	d.watchClock()
	return nil
}

// startBearers starts what brings devices and networks, as far as the command
// line lets it.
func (d *daemon) startBearers(o options, cfg config.Config, conn *bus.Conn, secret func() opaque.Key) {
	filter := d.filter(o, cfg)
	if o.uses("ethernet") {
		ethernet.Start(d.core, d.links, filter, d.log)
	}
	if o.uses("wifi") {
		bearer := wifi.Start(wifi.Config{
			Manager: d.core, Loop: d.loop, Log: d.log, Bus: conn, Links: d.links, Passes: filter.Passes,
			Driver: o.wifiDrivers, BackgroundScan: cfg.BackgroundScanning, Roaming: cfg.Roaming,
			StableAddress: func(ssid, adapter string) string { return secret().HardwareAddr(ssid, adapter) },
			RandomAddress: opaque.RandomHardwareAddr,
		})
		if cfg.RegdomFollowsTimezone {
			d.followCountry(cfg.Localtime, bearer.SetCountry)
		}
	}
	if o.uses("vpn") {
		d.vpns = func() {
			vpn.Start(vpn.Config{Manager: d.core, Loop: d.loop, Log: d.log, Bus: conn, Links: d.links})
		}
	}
}

// begin goes to work, as the name is ours.
func (d *daemon) begin() {
	if err := os.MkdirAll(settings.DefaultDir, 0o755); err != nil {
		d.fail(fmt.Errorf("cannot keep settings: %w", err))
		return
	}
	d.named = true
	d.names.Begin()
	d.resolver.Begin()
	d.watchProvisioning()
	d.links.Deliver(d.early)
	d.early = nil
	if d.vpns != nil {
		d.vpns() // which has the bus start another daemon
	}
	d.loop.GiveBackMemory()
	d.ready()
}

// newResolver has names resolved as the command line and then the configuration
// want it.
func (d *daemon) newResolver(o options, cfg config.Config, conn *bus.Conn) *resolver.Resolver {
	backend := cfg.DNSBackend
	if o.noDNSProxy {
		backend = resolver.Direct
	}
	relay := dnstls.New(d.log, relayPaths()...)
	d.onClose(relay.Close)
	proxy := dnsproxy.New(d.log, relay)
	d.onClose(func() {
		if err := proxy.Close(); err != nil {
			d.log.Warn("cannot end the DNS proxy", "err", err)
		}
		d.log.Debug("DNS proxy", "counts", fmt.Sprintf("%+v", proxy.Stats()))
	})
	r := resolver.New(resolver.Config{
		Loop: d.loop, Log: d.log, Backend: backend, Asking: cfg.Asking, File: cfg.ResolvConf,
		Server: proxy, Service: resolved.New(conn, d.log),
		Multicast: func(can bool) { d.core.SetMulticastDNS(can) },
	})
	d.onClose(func() {
		d.loop.Wait()
		if err := r.Close(d.detached); err != nil {
			d.log.Warn("cannot leave resolv.conf as it should be", "err", err)
		}
	})
	return r
}

// relayPaths are where the program for DNS over TLS may be: beside this one, or
// where it was installed.
func relayPaths() []string {
	paths := []string{filepath.Join(libexecDir, dnstls.Program)}
	if self, err := os.Executable(); err == nil {
		paths = append(paths, filepath.Join(filepath.Dir(self), dnstls.Program))
	}
	return paths
}

func (d *daemon) onClose(fn func()) { d.closers = append(d.closers, fn) }

// close ends all parts, last made first. The loop has ended.
func (d *daemon) close() {
	for _, fn := range slices.Backward(d.closers) {
		fn()
	}
}

func (d *daemon) dial() (*bus.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), joinTimeout)
	defer cancel()
	conn, err := bus.Begin(ctx, d.loop, d.log, "")
	if err != nil {
		return nil, fmt.Errorf("%w; is dbus-daemon running and its policy for %s installed?", err, busName)
	}
	conn.OnDisconnect(func(err error) { d.fail(err) })
	d.onClose(conn.Close)
	return conn, nil
}

// own asks for the bus name. Without it nobody finds the daemon, so it ends
// when the name cannot be had.
func (d *daemon) own(conn *bus.Conn) {
	patience := d.loop.After("bus name", joinTimeout, func() {
		d.fail(fmt.Errorf("the bus has not answered for %v; is dbus-daemon stuck? restart it", joinTimeout))
	})
	conn.RequestName(busName, func(err error) {
		patience.Stop()
		var taken *bus.NameTakenError
		switch {
		case d.failure != nil: // the end has begun
		case errors.As(err, &taken):
			d.fail(fmt.Errorf("%w; stop that one first, two network managers would undo each other's work", err))
		case err != nil:
			d.fail(fmt.Errorf("%w; does the bus policy allow it?", err))
		default:
			d.begin()
		}
	})
}

// runKernel has what the kernel reports delivered on the loop.
func (d *daemon) runKernel(netlink *kernel.Netlink) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := netlink.Run(ctx, func(events []kernel.Event) {
			d.loop.Post("kernel", func() { d.deliver(events) })
		})
		if ctx.Err() == nil {
			d.loop.Post("kernel gone", func() { d.fail(err) })
		}
	}()
	d.onClose(func() {
		cancel()
		<-ended
		netlink.Close()
	})
}

// deliver takes in what the kernel reported. Until the name is ours it is only
// kept: who knows a link may change it.
func (d *daemon) deliver(events []kernel.Event) {
	if d.named {
		d.links.Deliver(events)
	} else {
		d.early = append(d.early, events...)
	}
}

// filter says which links are to be left alone: those the user named, and the
// one that the root file system comes through.
func (d *daemon) filter(o options, cfg config.Config) ethernet.Filter {
	f := ethernet.Filter{Only: o.devices, Except: o.noDevices, Blacklist: cfg.InterfaceBlacklist}
	root, err := netroot.Interface()
	if err != nil {
		d.log.Warn("every link is handled", "err", err)
	}
	if root != "" {
		d.log.Info("left alone, the root file system comes through it", "interface", root)
		f.Except = append(f.Except, root)
	}
	return f
}

func (d *daemon) watchProvisioning() {
	d.loop.AtEnd(provision.Watch(d.loop, d.log, settings.DefaultDir, d.core.SetSpecs)) // the kernel takes its time over it
}

func (d *daemon) watchClock() {
	w, err := suspend.Watch(d.loop, d.log, suspend.Handler{Resumed: func(time.Duration) { d.core.Resumed() }})
	if err != nil {
		d.log.Warn("time asleep will not count", "err", err)
		return
	}
	d.onClose(w.Close)
}

// followCountry tells in which country the machine is.
func (d *daemon) followCountry(localtime string, found func(string)) {
	d.loop.AtEnd(timezone.Follow(d.loop, d.log, localtime, timezone.Database, found))
}

// openSwitches opens the switches of the radios, nil where there are none.
func (d *daemon) openSwitches() *rfkill.Switches {
	s, err := rfkill.Open(d.loop, d.log, rfkill.Device)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel that knows no radios
	}
	if err != nil {
		d.log.Info("radios are taken for free", "because", err)
		return nil
	}
	d.onClose(s.Close)
	return s
}

// secretKey reads the key of opaque addresses when it is first asked for: by then
// the state directory is there, and ours.
func secretKey(log *slog.Logger) func() opaque.Key {
	return sync.OnceValue(func() opaque.Key {
		k, err := opaque.Load(settings.DefaultDir)
		if err != nil {
			log.Warn("opaque addresses will be others after a restart", "err", err)
		}
		return k
	})
}

// opaqueAddress is what makes opaque addresses, nil if none are wanted.
func opaqueAddress(cfg config.Config, secret func() opaque.Key) func(netip.Prefix, string, int) netip.Prefix {
	if cfg.AddressGeneration != config.OpaqueAddresses {
		return nil
	}
	return func(prefix netip.Prefix, network string, attempt int) netip.Prefix {
		return secret().Address(prefix, network, attempt)
	}
}

// onLink tells whether a link has an address at the moment.
func onLink(links *link.Table) func(int, netip.Addr) bool {
	return func(index int, address netip.Addr) bool {
		for _, a := range links.Observed(index).Addrs {
			if a.Prefix.Addr() == address {
				return true
			}
		}
		return false
	}
}
