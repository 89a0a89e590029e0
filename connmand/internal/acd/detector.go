package acd

import (
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/rawsock"
	"net.connman/pkg/loop"
)

// wire carries ARP. Nothing in it waits.
type wire interface {
	// listen begins to receive on all links; handle is called on the loop.
	listen(handle func([]inbound)) error
	// silence ends it.
	silence()
	// send sends to a station on the link, or to all. It needs listen.
	send(link core.Link, to core.HardwareAddr, a arp) error
}

// Detector watches addresses. It belongs to the loop.
type Detector struct {
	loop     *loop.Loop
	log      *slog.Logger
	wire     wire
	watches  []*watch
	searches []*search
	open     bool
}

var _ core.ConflictDetector = (*Detector)(nil)

// New returns a detector that watches nothing yet.
func New(l *loop.Loop, log *slog.Logger) *Detector {
	return newDetector(l, log, &packetWire{loop: l, log: log})
}

func newDetector(l *loop.Loop, log *slog.Logger, w wire) *Detector {
	return &Detector{loop: l, log: log, wire: w}
}

// watch is one running machine.
type watch struct {
	all    *Detector
	link   core.Link
	report func(core.ConflictEvent)
	m      machine
	timer  *loop.Timer
	ended  bool
}

// Watch begins to probe the address, which takes four to seven seconds.
func (d *Detector) Watch(link core.Link, address netip.Addr, report func(core.ConflictEvent)) core.ConflictWatch {
	w := &watch{all: d, link: link, report: report, m: machine{
		self: link.Addr, address: address, rand: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}}
	d.watches = append(d.watches, w)
	d.hold()
	w.step(begin{})
	return w
}

// Stop ends the watch; the address is not defended any more.
func (w *watch) Stop() {
	if w.ended {
		return
	}
	w.ended = true
	w.timer.Stop()
	w.all.watches = slices.DeleteFunc(slices.Clone(w.all.watches), func(o *watch) bool { return o == w })
	w.all.hold()
}

func (w *watch) step(e event) {
	now := w.all.loop.Now()
	actions := w.m.Step(now, e)
	w.timer.Stop()
	if w.m.state == ended {
		w.Stop()
	} else if !w.m.next.IsZero() {
		w.timer = w.all.loop.After("conflict detection", w.m.next.Sub(now), func() { w.step(tick{}) })
	}
	for _, a := range actions {
		switch a := a.(type) {
		case send:
			w.all.send(w.link, rawsock.Broadcast, a.arp)
		case report:
			w.report(a.event)
		}
	}
}

func (d *Detector) send(link core.Link, to core.HardwareAddr, a arp) {
	if !d.open {
		return // hold said why
	}
	if err := d.wire.send(link, to, a); err != nil {
		d.log.Warn("cannot send ARP", "link", link.Name, "error", err)
	}
}

// hold keeps the socket open while anything is watched or looked for.
func (d *Detector) hold() {
	want := len(d.watches)+len(d.searches) > 0
	if want == d.open {
		return
	}
	if !want {
		d.wire.silence()
	} else if err := d.wire.listen(d.handle); err != nil {
		d.log.Error("addresses are not checked for conflicts", "error", err)
		return
	}
	d.open = want
}

func (d *Detector) handle(batch []inbound) {
	for _, in := range batch {
		d.tell(in)
		for _, w := range d.watches {
			if w.link.Index == in.link && !w.ended {
				w.step(heard{in.arp})
			}
		}
	}
}

// packetWire is the real wire.
type packetWire struct {
	loop   *loop.Loop
	log    *slog.Logger
	keeper rawsock.Keeper[inbound]
	socket *rawsock.Socket
}

func (w *packetWire) listen(handle func([]inbound)) error {
	s, err := w.keeper.Listen(w.loop, w.log, rawsock.Protocol{
		Name: "ARP", EtherType: unix.ETH_P_ARP, Filter: filter,
	}, parseInbound, handle)
	if err != nil {
		return err
	}
	w.socket = s
	return nil
}

func (w *packetWire) silence() { w.keeper.Release() }

func (w *packetWire) send(link core.Link, to core.HardwareAddr, a arp) error {
	return w.socket.Send(link.Index, to, a.encode())
}
