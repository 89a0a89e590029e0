package dhcp4

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/leasefile"
	"net.connman/pkg/loop"
)

// Config is what clients need.
type Config struct {
	Loop *loop.Loop
	Log  *slog.Logger
	// Dir is a directory that a reboot empties, for the leases in use; it is
	// made when it is missing. "" keeps none.
	Dir string
	// Conflicts checks addresses for requests that ask for it.
	Conflicts core.ConflictDetector
	// OnLink reports whether the link has the address now.
	OnLink func(link int, address netip.Addr) bool
	// Find asks a neighbour for its hardware address, at the one it is thought
	// to have or, with "", everywhere. It may be nil.
	Find func(link core.Link, who netip.Addr, at core.HardwareAddr, found func(core.HardwareAddr)) (cancel func())
}

// Clients runs DHCPv4 clients, one on a link at most. It belongs to the loop.
type Clients struct {
	cfg     Config
	wire    wire
	files   *leasefile.Files
	gate    gate
	clients map[int]*client // by interface index
	visits  map[string]visit
	waiting int // clients that listen
}

var _ core.DHCP4 = (*Clients)(nil)

// New returns a driver without clients. It opens nothing yet.
func New(cfg Config) *Clients {
	return newClients(cfg, &packetWire{loop: cfg.Loop, log: cfg.Log, sends: loop.NewQueue(cfg.Loop, 1)})
}

func newClients(cfg Config, w wire) *Clients {
	return &Clients{
		cfg:     cfg,
		wire:    w,
		files:   leasefile.New(cfg.Loop, cfg.Log, cfg.Dir, "dhcp4"),
		gate:    gate{loop: cfg.Loop},
		clients: map[int]*client{},
		visits:  map[string]visit{},
	}
}

// client is one running machine with what it wants held.
type client struct {
	all    *Clients
	link   core.Link
	report func(core.DHCPEvent)
	m      machine
	ended  bool

	network string // where it is, "" where that does not matter
	visit   visit
	search  func() // ends the search for a router

	load      *loop.Op
	pass      *pass // until an address is there
	timer     *loop.Timer
	wake      time.Time
	listening bool
	unsent    int // messages in a row that could not be sent
	port      port
	bound     netip.Addr // of port
	watch     core.ConflictWatch
	watched   netip.Addr
}

// Start begins to ask for a lease. When the address of an earlier lease is
// still on the link and the lease is on file, it is reported at once and
// confirmed behind that; otherwise the first message goes out at once, unless
// many clients begin together.
func (d *Clients) Start(req core.DHCPRequest, report func(core.DHCPEvent)) core.DHCP4Client {
	if old := d.clients[req.Link.Index]; old != nil {
		old.Stop(false)
	}
	c := &client{
		all:    d,
		link:   req.Link,
		report: report, network: req.Network,
		m: machine{
			id:    identity{addr: req.Link.Addr, hostname: req.Hostname, vendorClass: req.VendorClass},
			check: req.CheckConflicts,
			rand:  rand.New(systemRandom{}),
		},
	}
	d.clients[req.Link.Index] = c
	if d.cfg.Dir != "" && d.cfg.OnLink(req.Link.Index, req.Last) {
		c.load = leasefile.Load(d.files, req.Link, func(l leasefile.Lease) (*lease, error) {
			return restore(l, req.Link.Addr, req.Last, c.now())
		}, func(held *lease) {
			c.begin(begin{last: req.Last, held: held})
		})
		return c
	}
	c.begin(begin{last: req.Last})
	c.recognize(req.Last)
	return c
}

func (c *client) begin(e begin) {
	c.pass = c.all.gate.enter(func() { c.step(e) })
}

// systemRandom is the runtime's generator, which cannot be predicted from its
// output: transaction ids are what keeps strangers from answering.
type systemRandom struct{}

func (systemRandom) Uint64() uint64 { return rand.Uint64() }

// Stop ends the client. Nothing is reported any more, and the lease is no
// longer on file: a daemon that wants to go on with it after a restart just
// ends its loop.
func (c *client) Stop(release bool) {
	if c.ended {
		return
	}
	c.ended = true
	c.load.Cancel()
	c.pass.leave()
	c.forget()
	if !release {
		c.remember()
	}
	for _, a := range c.m.Step(c.now(), end{release}) {
		c.perform(a)
	}
	c.hold()
	delete(c.all.clients, c.link.Index)
}

func (c *client) now() time.Time { return c.all.cfg.Loop.Now() }

// step tells the machine and does what it wants. A report may stop the client.
func (c *client) step(e event) {
	before := c.m.state
	actions := c.m.Step(c.now(), e)
	if c.m.state != before {
		c.all.cfg.Log.Debug("dhcp", "link", c.link.Name, "from", before, "to", c.m.state)
	}
	c.hold()
	if c.m.state != stopped && !c.m.listening() {
		c.pass.leave()
	}
	for _, a := range actions {
		if c.ended {
			return
		}
		c.perform(a)
	}
}

func (c *client) perform(a action) {
	switch a := a.(type) {
	case broadcast:
		c.broadcast(a.message)
	case direct:
		c.noteSent(c.direct(a))
	case keep:
		c.visit.lease = a.lease
		c.all.files.Save(c.link, a.lease)
	case refused:
		for _, w := range a.warnings {
			c.all.cfg.Log.Info("lease option not used", "link", c.link.Name, "reason", w)
		}
	case report:
		c.learn(a.event)
		c.report(a.event)
	}
}

// noteSent logs the second failure in a row: the machine tries again by
// itself, and the first one is what a link does that just went down.
func (c *client) noteSent(err error) {
	if err == nil {
		c.unsent = 0
		return
	}
	c.unsent++
	level := slog.LevelDebug
	if c.unsent == 2 {
		level = slog.LevelWarn
	}
	c.all.cfg.Log.Log(context.Background(), level, "cannot send DHCP message", "link", c.link.Name, "error", err)
}

// broadcast keeps the socket open until the message has left.
func (c *client) broadcast(message []byte) {
	if err := c.all.listen(); err != nil {
		c.noteSent(err)
		return
	}
	c.all.wire.broadcast(c.link, message, func(err error) {
		c.noteSent(err)
		c.all.dismiss()
	})
}

func (c *client) direct(a direct) error {
	p := c.port
	if p == nil {
		var err error
		if p, err = c.all.wire.bind(c.link, a.from); err != nil {
			return err
		}
		defer p.close()
	}
	return p.send(a.to, a.message)
}

// hold opens and closes what the machine's state needs.
func (c *client) hold() {
	if at := c.m.wake(); at != c.wake {
		c.timer.Stop()
		c.timer, c.wake = nil, at
		if !at.IsZero() {
			c.timer = c.all.cfg.Loop.After("dhcp", at.Sub(c.now()), c.tick)
		}
	}
	c.holdListening()
	c.holdPort()
	c.holdWatch()
}

func (c *client) tick() {
	c.wake = time.Time{}
	c.step(tick{})
}

func (c *client) holdListening() {
	want := c.m.listening()
	if want == c.listening {
		return
	}
	if !want {
		c.all.dismiss()
	} else if err := c.all.listen(); err != nil {
		c.all.cfg.Log.Warn("cannot listen", "link", c.link.Name, "error", err)
		return
	}
	c.listening = want
}

func (c *client) holdPort() {
	want := c.m.unicasting()
	if want == c.bound {
		return
	}
	if c.port != nil {
		c.port.close()
		c.port = nil
	}
	c.bound = want
	if want.IsValid() {
		p, err := c.all.wire.bind(c.link, want)
		if err != nil {
			c.all.cfg.Log.Debug("no port for direct answers", "link", c.link.Name, "error", err)
			return
		}
		c.port = p
	}
}

func (c *client) holdWatch() {
	want := c.m.watched()
	if want == c.watched {
		return
	}
	if c.watch != nil {
		c.watch.Stop()
		c.watch = nil
	}
	c.watched = want
	if want.IsValid() {
		c.watch = c.all.cfg.Conflicts.Watch(c.link, want, c.conflictEvent)
	}
}

func (c *client) conflictEvent(e core.ConflictEvent) {
	switch e := e.(type) {
	case core.AddressFree:
		c.step(free{})
	case core.AddressTaken:
		c.step(taken{e.Conflict})
	}
}

// listen counts those who need the socket, which is open while there are any.
func (d *Clients) listen() error {
	if d.waiting == 0 {
		if err := d.wire.listen(d.handle); err != nil {
			return err
		}
	}
	d.waiting++
	return nil
}

// dismiss ends one listen.
func (d *Clients) dismiss() {
	if d.waiting--; d.waiting == 0 {
		d.wire.silence()
	}
}

func (d *Clients) handle(batch []inbound) {
	for _, in := range batch {
		if c := d.clients[in.link]; c != nil {
			c.step(received{in.reply})
		}
	}
}
