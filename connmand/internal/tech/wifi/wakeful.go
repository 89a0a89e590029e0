package wifi

import (
	"time"

	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// pingAfter is how long an answer may take before the supplicant is woken.
const pingAfter = 200 * time.Millisecond

// wakeful is a bus on which the supplicant stays awake. wpa_supplicant's D-Bus
// library reads what comes in also while it sends. Of that it is told by SIGPOLL,
// which it looks at after its next event only: a call that meets its signals, as one
// at the end of a scan does, is answered half a minute later or whenever something
// else happens. A further message is such an event.
type wakeful struct {
	Bus
	loop *loop.Loop
}

// Call implements [Bus].
func (w wakeful) Call(m bus.MethodCall, done func(values []any, err error)) (cancel func()) {
	ping := bus.MethodCall{
		Destination: m.Destination, Path: rootPath, Interface: "org.freedesktop.DBus.Peer", Member: "Ping", NoAutoStart: true,
	}
	var timer *loop.Timer
	var rest func()
	rest = func() {
		timer = w.loop.After("wake the supplicant", pingAfter, func() {
			w.Bus.Call(ping, nil)
			rest()
		})
	}
	rest()
	stop := w.Bus.Call(m, func(values []any, err error) {
		timer.Stop()
		if done != nil {
			done(values, err)
		}
	})
	return func() {
		timer.Stop()
		stop()
	}
}
