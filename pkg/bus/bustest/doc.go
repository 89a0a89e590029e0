// Package bustest gives tests a D-Bus daemon of their own and records what goes
// over it. Nothing touches the machine's buses.
//
//	b := bustest.Start(t)                // private dbus-daemon, ends with the test
//	l, conn := b.Join(t)                 // a running loop with a connection
//	bustest.Do(l, func() { … })          // on the loop, and wait
//	client := b.Dial(t)                  // godbus, an independent implementation
//	trace := b.Record(t)                 // every message from now on, as text
//	trace.WaitFor(t, "signal / net.connman.Manager.PropertyChanged")
//
// The functions are for the test's goroutine.
package bustest
