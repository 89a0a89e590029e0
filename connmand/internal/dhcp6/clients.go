package dhcp6

import (
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
	// OnLink reports whether the link has the address now.
	OnLink func(link int, address netip.Addr) bool
}

// linkReady is how long a link may take to have a link-local address that is
// known to be unique. Until then nothing can be sent, which is nobody's fault.
const linkReady = 5 * time.Second

// Clients runs DHCPv6 clients, one on a link at most. It belongs to the loop.
type Clients struct {
	cfg     Config
	wire    wire
	files   *leasefile.Files
	clients map[int]*client // by interface index
	waiting int             // clients that listen, and messages on their way
}

var _ core.DHCP6 = (*Clients)(nil)

// New returns a driver without clients. It opens nothing yet.
func New(cfg Config) *Clients {
	return newClients(cfg, &udpWire{loop: cfg.Loop, log: cfg.Log, sends: loop.NewQueue(cfg.Loop, 1)})
}

func newClients(cfg Config, w wire) *Clients {
	return &Clients{
		cfg:     cfg,
		wire:    w,
		files:   leasefile.New(cfg.Loop, cfg.Log, cfg.Dir, "dhcp6"),
		clients: map[int]*client{},
	}
}

// client is one running machine with what it wants held.
type client struct {
	all    *Clients
	link   core.Link
	log    *slog.Logger
	report func(core.DHCP6Event)
	m      machine
	ended  bool

	load      *loop.Op
	timer     *loop.Timer
	wake      time.Time
	listening bool
	failing   time.Time // since when nothing could be sent; zero: not so
	warned    bool      // of that
}

// Start begins to ask for a lease. A lease that an earlier client got, with
// req.Last if an address is asked for, is confirmed first, if it is on file and
// has not run out; when the address is still on the link, it is reported at
// once.
//
// What an earlier client of the link still does ends: to go on giving the lease
// back would be to give back the new one.
func (d *Clients) Start(req core.DHCP6Request, report func(core.DHCP6Event)) core.DHCP6Client {
	if old := d.clients[req.Link.Index]; old != nil {
		old.Stop(false)
		old.step(end{})
	}
	c := &client{
		all:    d,
		link:   req.Link,
		log:    d.cfg.Log.With("link", req.Link.Name),
		report: report,
		m: machine{
			id:    identity{duid: req.DUID, iaid: iaidOf(req.Link.Addr)},
			wants: wishes{addresses: req.Stateful, prefixes: req.Prefixes},
			zone:  req.Link.Name,
			rand:  rand.New(systemRandom{}),
		},
	}
	d.clients[req.Link.Index] = c
	if d.cfg.Dir == "" || !c.m.wants.any() || req.Stateful && !req.Last.IsValid() {
		c.step(begin{last: req.Last})
		return c
	}
	c.load = leasefile.Load(d.files, req.Link, func(l leasefile.Lease) (*lease, error) {
		return restore(l, c.m.id, c.m.wants, req.Last, c.m.zone, c.now())
	}, func(held *lease) {
		onLink := held != nil && d.cfg.OnLink(req.Link.Index, req.Last)
		c.step(begin{last: req.Last, held: held, onLink: onLink})
	})
	return c
}

// systemRandom is the runtime's generator, which cannot be predicted from its
// output: transaction ids are what keeps strangers from answering.
type systemRandom struct{}

func (systemRandom) Uint64() uint64 { return rand.Uint64() }

// Decline gives up the lease when another machine uses an address of it.
func (c *client) Decline(address netip.Addr) {
	if !c.ended {
		c.step(taken{address})
	}
}

// Stop ends the client. Nothing is reported any more. A lease that is not
// released stays on file; one that is, is given back behind that, with patience
// for the server, until another client starts on the link or the loop ends.
func (c *client) Stop(release bool) {
	if c.ended {
		return
	}
	c.ended = true
	c.load.Cancel()
	c.step(end{release})
}

func (c *client) now() time.Time { return c.all.cfg.Loop.Now() }

// step tells the machine and does what it wants. A report may stop the client.
func (c *client) step(e event) {
	before := c.m.state
	actions := c.m.Step(c.now(), e)
	if c.m.state != before {
		c.log.Debug("dhcpv6", "from", before, "to", c.m.state)
	}
	c.hold()
	ended := c.ended
	for _, a := range actions {
		c.perform(a)
		if c.ended != ended {
			return
		}
	}
	if c.ended && c.m.state == stopped && c.all.clients[c.link.Index] == c {
		delete(c.all.clients, c.link.Index)
	}
}

func (c *client) perform(a action) {
	switch a := a.(type) {
	case send:
		c.send(a.message)
	case keep:
		c.all.files.Save(c.link, a.lease.stored())
	case refused:
		for _, w := range a.warnings {
			c.log.Info("DHCPv6 option not used", "reason", w)
		}
	case report:
		c.report(a.event)
	}
}

// send keeps the socket open until the message has left.
func (c *client) send(message []byte) {
	err := c.all.listen()
	if err != nil {
		c.sent(err)
		return
	}
	if c.ended { // and so may its link
		c.sent(c.all.wire.sendNow(c.link, message))
		c.all.dismiss()
		return
	}
	c.all.wire.send(c.link, message, func(err error) {
		c.all.dismiss()
		c.sent(err)
	})
}

// sent notes what became of a message. The machine tries again by itself.
func (c *client) sent(err error) {
	if err == nil {
		c.failing, c.warned = time.Time{}, false
		return
	}
	if c.failing.IsZero() {
		c.failing = c.now()
	}
	if !c.warned && !c.ended && c.now().Sub(c.failing) > linkReady {
		c.warned = true
		c.log.Warn("cannot send DHCPv6 message", "error", err)
	}
	c.step(unsent{})
}

// hold opens and closes what the machine's state needs.
func (c *client) hold() {
	if at := c.m.wake(); at != c.wake {
		c.timer.Stop()
		c.timer, c.wake = nil, at
		if !at.IsZero() {
			c.timer = c.all.cfg.Loop.After("dhcpv6", at.Sub(c.now()), c.tick)
		}
	}
	want := c.m.listening()
	if want == c.listening {
		return
	}
	if !want {
		c.all.dismiss()
	} else if err := c.all.listen(); err != nil {
		c.log.Warn("cannot listen for DHCPv6", "error", err)
		return
	}
	c.listening = want
}

func (c *client) tick() {
	c.wake = time.Time{}
	c.step(tick{})
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
