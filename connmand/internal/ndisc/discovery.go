package ndisc

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/rawsock"
	"net.connman/pkg/loop"
)

// Config is what discovery needs.
type Config struct {
	Loop *loop.Loop
	Log  *slog.Logger
	// LinkLocal returns a link's own link-local address, an invalid one while
	// there is none that may be used.
	LinkLocal func(link int) netip.Addr
}

// Discovery finds routers, with one machine on a link at most. It belongs to
// the loop.
type Discovery struct {
	cfg     Config
	wire    wire
	clients map[int]*client // by interface index
}

var _ core.RouterDiscovery = (*Discovery)(nil)

// wire carries messages. Nothing in it waits.
type wire interface {
	// listen begins to receive on all links; handle is called on the loop.
	listen(handle func([]inbound)) error
	// silence ends it.
	silence()
	// send sends a packet to all routers on the link. It needs listen.
	send(link int, packet []byte) error
}

// inbound is an advertisement that arrived on a link.
type inbound struct {
	link   int
	advert advert
}

// New returns a discovery that looks nowhere yet. It opens nothing.
func New(cfg Config) *Discovery {
	return newDiscovery(cfg, &packetWire{loop: cfg.Loop, log: cfg.Log})
}

func newDiscovery(cfg Config, w wire) *Discovery {
	return &Discovery{cfg: cfg, wire: w, clients: make(map[int]*client)}
}

// client is one running machine.
type client struct {
	all    *Discovery
	link   core.Link
	log    *slog.Logger
	report func(core.RouterEvent)
	m      machine
	ended  bool
	unsent int // solicitations in a row
	timer  *loop.Timer
	wakeAt time.Time
}

// Start begins to look for routers: the first solicitation goes out at once.
func (d *Discovery) Start(req core.RouterDiscoveryRequest, report func(core.RouterEvent)) core.RouterDiscoveryClient {
	if old := d.clients[req.Link.Index]; old != nil {
		old.Stop()
	}
	c := &client{
		all: d, link: req.Link, report: report,
		log: d.cfg.Log.With("link", req.Link.Name),
		m:   machine{link: req.Link.Name, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))},
	}
	d.clients[req.Link.Index] = c
	if len(d.clients) == 1 {
		if err := d.wire.listen(d.handle); err != nil {
			c.log.Error("cannot listen for routers", "error", err)
		}
	}
	c.step(begin{c.anonymous()})
	return c
}

// Stop ends the client; nothing is reported any more.
func (c *client) Stop() {
	if c.ended {
		return
	}
	c.ended = true
	c.timer.Stop()
	delete(c.all.clients, c.link.Index)
	if len(c.all.clients) == 0 {
		c.all.wire.silence()
	}
}

// step tells the machine and does what it wants. A report may stop the client.
func (c *client) step(e event) {
	now := c.all.cfg.Loop.Now()
	actions := c.m.Step(now, e)
	c.hold(now)
	for _, a := range actions {
		if c.ended {
			return
		}
		switch a := a.(type) {
		case solicit:
			c.solicit()
		case report:
			c.report(a.event)
		}
	}
}

func (c *client) solicit() {
	packet := solicitation(c.all.cfg.LinkLocal(c.link.Index), c.link.Addr)
	err := c.all.wire.send(c.link.Index, packet)
	if err == nil {
		c.unsent = 0
		return
	}
	// The machine tries again by itself, and the first failure is what a link
	// does that just went down.
	c.unsent++
	level := slog.LevelDebug
	if c.unsent == 2 {
		level = slog.LevelWarn
	}
	c.log.Log(context.Background(), level, "cannot ask for routers", "error", err)
}

// hold keeps the timer that the machine wants.
func (c *client) hold(now time.Time) {
	at := c.m.wake(now)
	if at.Equal(c.wakeAt) {
		return
	}
	c.timer.Stop()
	c.timer, c.wakeAt = nil, at
	if !at.IsZero() {
		c.timer = c.all.cfg.Loop.After("router discovery", at.Sub(now), c.tick)
	}
}

func (c *client) tick() {
	c.wakeAt = time.Time{}
	c.step(tick{c.anonymous()})
}

// anonymous reports whether the link has no address of its own yet.
func (c *client) anonymous() bool { return !c.all.cfg.LinkLocal(c.link.Index).IsValid() }

func (d *Discovery) handle(batch []inbound) {
	for _, in := range batch {
		if c := d.clients[in.link]; c != nil {
			c.step(received{in.advert})
		}
	}
}

// packetWire is the real one.
type packetWire struct {
	loop   *loop.Loop
	log    *slog.Logger
	keeper rawsock.Keeper[inbound]
	socket *rawsock.Socket // nil while not listening
}

var (
	errNotListening = errors.New("cannot send: the socket is not open")
	errFlood        = errors.New("too many advertisements on the link")
)

func (w *packetWire) listen(handle func([]inbound)) error {
	floods, refused := make(floodGate), 0
	parse := func(p rawsock.Packet) (inbound, error) {
		if !floods.pass(p.Link, time.Now()) {
			if refused++; refused%floodBurst == 0 {
				time.Sleep(floodRest)
			}
			return inbound{}, errFlood
		}
		a, err := parseAdvert(p.Data, p.PartialChecksum)
		return inbound{link: p.Link, advert: a}, err
	}
	protocol := rawsock.Protocol{Name: "router discovery", EtherType: unix.ETH_P_IPV6, Filter: advertFilter}
	var err error
	w.socket, err = w.keeper.Listen(w.loop, w.log, protocol, parse, handle)
	return err
}

func (w *packetWire) silence() {
	w.socket = nil
	w.keeper.Release()
}

func (w *packetWire) send(link int, packet []byte) error {
	if w.socket == nil {
		return errNotListening
	}
	return w.socket.Send(link, allRoutersHardware, packet)
}

// How many advertisements a link may have: so many at once, and then one in so
// much time. Routers themselves may send one in three seconds (RFC 4861, 10).
const (
	floodBurst = 32
	floodEvery = 100 * time.Millisecond
	// floodRest is how long nothing is read after as many as floodBurst that
	// were too many: what comes meanwhile the kernel drops at less cost.
	floodRest = 50 * time.Millisecond
)

// floodGate counts advertisements per link, in the socket's goroutine. A link
// that goes leaves a few bytes.
type floodGate map[int]*allowance

type allowance struct {
	free  int
	since time.Time // free was counted
}

// pass reports whether one more may come in.
func (f floodGate) pass(link int, now time.Time) bool {
	a := f[link]
	if a == nil {
		a = &allowance{free: floodBurst, since: now}
		f[link] = a
	}
	if gained := int(now.Sub(a.since) / floodEvery); gained > 0 {
		a.free = min(a.free+gained, floodBurst)
		a.since = a.since.Add(time.Duration(gained) * floodEvery)
	}
	if a.free == 0 {
		return false
	}
	a.free--
	return true
}
