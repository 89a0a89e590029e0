// Package bus is the D-Bus connection of the programs: it receives method calls
// and signals in their order, keeps the table of exported objects, and sends
// replies and signals at the end of the loop's turn.
//
// Everything runs on the event loop. A goroutine of the connection's own reads
// the socket and posts what arrives, batch by batch; another lives only while
// the bus does not take what is to be sent. Neither touches the loop's state.
//
// [Dial] waits until the bus has accepted us; [Begin] saves that time.
//
// # Serving
//
//	conn, err := bus.Dial(ctx, l, log, "")       // "" is the system bus
//	err = conn.ManageObjects()                   // the object manager at "/"
//	err = conn.Export("/", connman.ServeManager(manager))
//	conn.BeforeFlush(announceChanges)            // emits what the turn changed
//	connman.EmitServicePropertyChanged(conn, path, name, bus.Variant{Value: v})
//	conn.RequestName("net.connman", func(err error) { … })  // *NameTakenError
//	conn.OnDisconnect(func(err error) { … })
//	conn.Close()
//
// A handler gets a [Call] and the arguments, whose types were checked against
// the method's signature. It answers with [Call.Reply] or [Call.Error], then or
// in any later turn. At the end of the turn everything goes out in one write:
// first signals and calls in the order in which they were made, then replies.
//
// # Calling
//
//	cancel := conn.Call(bus.MethodCall{…}, func(values []any, err error) { … })
//	values, err := conn.Wait(ctx, bus.MethodCall{…})  // from other goroutines
//	stop := conn.Subscribe(bus.Match{…}, func(s bus.ReceivedSignal) { … })
//	stop := conn.WatchName(name, func(owner string) { … })
//	conn.Credentials(call.Sender, func(c bus.Credentials, err error) { … })
//
// # Values
//
// value.go lists the Go types that stand for the D-Bus types. Dictionaries are
// a [Dict], which keeps the order of its entries in both directions: clients
// print properties in the order in which they arrive. An object whose properties
// seldom change can be kept encoded ([EncodeObject]).
//
// # Why not godbus's connection
//
// Names and paths are godbus's types, and the tests drive this package with
// godbus as the other side. Its connection is not used because it decodes
// dictionaries into maps, which forget their order, starts a goroutine per call,
// which forgets the order of calls, and converts arguments loosely.
//
// File descriptors are not negotiated, so the bus delivers none to us.
package bus
