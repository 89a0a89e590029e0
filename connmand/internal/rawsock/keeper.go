package rawsock

import (
	"log/slog"
	"time"

	"net.connman/pkg/loop"
)

// linger is how long a socket stays open when nobody needs it any more.
const linger = 5 * time.Second

// Keeper is who opens a socket again and again. The kernel takes some
// milliseconds to close one, and a link that flaps does not leave it so much:
// rather than to have sockets pile up, the keeper keeps one for a while. At the
// loop's end it keeps none: they are closed while there is other work, and not
// one after the other when the process exits. Its methods are for the loop; the
// zero value is ready.
type Keeper[T any] struct {
	socket *Socket
	handle func([]T)   // nil while nobody listens
	rest   *loop.Timer // until the socket is closed
	known  bool        // to the loop
	ending bool
}

// Listen is as the function of that name, and returns the socket that is open
// if there is one. That goes on with the parse function that it has.
func (k *Keeper[T]) Listen(l *loop.Loop, log *slog.Logger, proto Protocol, parse func(Packet) (T, error), handle func([]T)) (*Socket, error) {
	if !k.known {
		k.known = true
		l.AtEnd(k.end)
	}
	k.rest.Stop()
	if k.socket == nil {
		s, err := Listen(l, log, proto, parse, k.deliver)
		if err != nil {
			return nil, err
		}
		k.socket = s
	}
	k.handle = handle
	return k.socket, nil
}

func (k *Keeper[T]) deliver(batch []T) {
	if k.handle != nil {
		k.handle(batch)
	}
}

// Release says that nobody needs the socket for now: handle is not called any
// more.
func (k *Keeper[T]) Release() {
	k.handle = nil
	k.rest.Stop()
	s := k.socket
	switch {
	case s == nil:
	case k.ending:
		k.close()
	default:
		k.rest = s.loop.After("close "+s.proto.Name, linger, k.close)
	}
}

// end closes the socket as soon as nobody listens.
func (k *Keeper[T]) end() {
	k.ending = true
	if k.handle == nil && k.socket != nil {
		k.rest.Stop()
		k.close()
	}
}

func (k *Keeper[T]) close() {
	k.socket.Close()
	k.socket = nil
}
