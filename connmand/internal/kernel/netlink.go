package kernel

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// resyncGap is the least time between two dumps, so that a storm of events that
// overflows every buffer does not keep the processor busy with dumps as well.
const resyncGap = 200 * time.Millisecond

// Netlink is the kernel of the network namespace in which it was opened.
type Netlink struct {
	log      *slog.Logger
	requests *requester
	size     int // receive buffer

	mu      sync.Mutex // guards the two below: Sync and Refresh come from anywhere
	socket  *socket
	waiting map[uint32]chan struct{}
	seq     uint32

	// Owned by Run.
	buf    []byte
	links  map[int]Link
	acks   []uint32
	events []Event
	forged int
}

var _ Kernel = (*Netlink)(nil)

// Open opens the sockets. Nothing that happens after it is missed by Run.
func Open(log *slog.Logger) (*Netlink, error) { return open(log, receiveBuffer) }

func open(log *slog.Logger, size int) (*Netlink, error) {
	n := &Netlink{
		log:     log,
		size:    size,
		waiting: make(map[uint32]chan struct{}),
		buf:     make([]byte, readBuffer),
	}
	var err error
	if n.requests, err = newRequester(); err != nil {
		return nil, err
	}
	if n.socket, err = subscribe(size, n.buf); err != nil {
		n.requests.close()
		return nil, err
	}
	return n, nil
}

// Close gives up the sockets. Call it after Run has returned, or instead.
func (n *Netlink) Close() {
	n.socket.close()
	n.requests.close()
}

// Run implements [Kernel]. It returns the context's error.
func (n *Netlink) Run(ctx context.Context, deliver func([]Event)) error {
	defer context.AfterFunc(ctx, n.Refresh)()
	n.resync(ctx, deliver)
	for ctx.Err() == nil {
		forged, err := n.socket.receive(n.datagram)
		n.countForged(forged)
		n.flush(deliver)
		if err == nil {
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			n.log.Warn("network events were lost, reading everything again", "error", err)
		}
		n.reopen(ctx)
		n.resync(ctx, deliver)
	}
	return ctx.Err()
}

// Sync implements [Kernel].
func (n *Netlink) Sync(ctx context.Context) error {
	done := make(chan struct{})
	n.mu.Lock()
	n.seq++
	n.waiting[n.seq] = done
	err := n.socket.echo(n.seq)
	n.mu.Unlock()
	if err != nil {
		// Run replaces a socket that fails and answers all who wait.
		n.Refresh()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Refresh implements [Kernel].
func (n *Netlink) Refresh() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.socket.interruptAt(time.Unix(1, 0))
}

// datagram decodes what came in one datagram.
func (n *Netlink) datagram(b []byte) {
	for len(b) > 0 {
		h, payload, rest, err := nextMessage(b)
		if err == nil {
			err = n.message(h, payload)
		}
		if err != nil {
			n.log.Warn("cannot read a network event", "error", err)
			return
		}
		b = rest
	}
}

func (n *Netlink) message(h header, payload []byte) error {
	if h.kind == unix.NLMSG_ERROR {
		n.acks = append(n.acks, h.seq)
		return nil
	}
	event, err := decode(h, payload, n.link)
	if event == nil {
		return err
	}
	switch e := event.(type) {
	case LinkChanged:
		if event = n.noteLink(e.Link); event == nil {
			return nil
		}
	case LinkRemoved:
		delete(n.links, e.Index)
	}
	n.events = append(n.events, event)
	return nil
}

func (n *Netlink) link(index int) Link { return n.links[index] }

// noteLink completes what the message said of a link and returns the event, or
// nil when nothing changed that anybody sees.
func (n *Netlink) noteLink(l Link) Event {
	old, known := n.links[l.Index]
	l.DevType = old.DevType
	if l.DevType == "" && (!known || l.Name != old.Name) {
		l.DevType = devType(l)
	}
	if known && l == old {
		return nil
	}
	n.links[l.Index] = l
	return LinkChanged{l}
}

// decode turns one message into an event, nil if nobody needs it.
func decode(h header, payload []byte, known func(int) Link) (Event, error) {
	switch h.kind {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		l, ok, err := decodeLink(payload, known)
		switch {
		case !ok:
			return nil, err
		case h.kind == unix.RTM_DELLINK:
			return LinkRemoved{l.Index}, nil
		}
		return LinkChanged{l}, nil
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		a, ok, err := decodeAddr(payload)
		switch {
		case !ok:
			return nil, err
		case h.kind == unix.RTM_DELADDR:
			return AddrRemoved{a}, nil
		}
		return AddrChanged{a}, nil
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		r, ok, err := decodeRoute(payload)
		replaced := h.kind == unix.RTM_NEWROUTE && h.flags&unix.NLM_F_REPLACE != 0
		switch {
		case !ok || !watched(r.Protocol) && !replaced:
			return nil, err
		case h.kind == unix.RTM_DELROUTE:
			return RouteRemoved{r}, nil
		}
		return RouteAdded{r, replaced}, nil
	}
	return nil, nil
}

// flush delivers what was read and then answers who waited for it.
func (n *Netlink) flush(deliver func([]Event)) {
	if len(n.events) > 0 {
		deliver(n.events)
		n.events = nil
	}
	if len(n.acks) == 0 {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, seq := range n.acks {
		if done, ok := n.waiting[seq]; ok {
			delete(n.waiting, seq)
			close(done)
		}
	}
	n.acks = n.acks[:0]
}

func (n *Netlink) countForged(forged int) {
	if forged == 0 {
		return
	}
	if n.forged == 0 {
		n.log.Warn("ignoring netlink messages that another process sent")
	}
	n.forged += forged
}

// reopen puts a fresh socket in the place of the one that failed, so that what
// is still queued there is not taken for newer than the dump that follows.
func (n *Netlink) reopen(ctx context.Context) {
	for pause(ctx, resyncGap); ctx.Err() == nil; pause(ctx, resyncGap) {
		fresh, err := subscribe(n.size, n.buf)
		if err != nil {
			n.log.Error("deaf to network events", "error", err)
			continue
		}
		n.mu.Lock()
		n.socket.close()
		n.socket = fresh
		n.mu.Unlock()
		return
	}
}

// resync reads everything and delivers it.
func (n *Netlink) resync(ctx context.Context, deliver func([]Event)) {
	var (
		s        Snapshot
		complete bool
		err      error
	)
	for ; ctx.Err() == nil; pause(ctx, resyncGap) {
		if s, complete, err = n.requests.dump(); err == nil {
			break
		}
		n.log.Error("cannot read the network's state", "error", err)
	}
	if ctx.Err() != nil {
		return
	}
	n.remember(s.Links)
	deliver([]Event{Resync{s}})

	n.mu.Lock()
	defer n.mu.Unlock()
	for seq, done := range n.waiting {
		// What they wait for happened before the dump unless they came just now.
		if err := n.socket.echo(seq); err != nil {
			delete(n.waiting, seq)
			close(done)
		}
	}
	if !complete {
		n.socket.interruptAt(time.Now().Add(resyncGap))
	}
}

// remember makes links the ones that are known, filling in their DevType.
func (n *Netlink) remember(links []Link) {
	old := n.links
	n.links = make(map[int]Link, len(links))
	for i, l := range links {
		if was, ok := old[l.Index]; ok && was.Name == l.Name {
			links[i].DevType = was.DevType
		} else {
			links[i].DevType = devType(l)
		}
		n.links[l.Index] = links[i]
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
