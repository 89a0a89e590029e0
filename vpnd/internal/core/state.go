package core

import (
	"fmt"
	"slices"
)

// State is how far a connection is, spelt as on the bus.
type State string

// The states.
const (
	Idle          State = "idle"
	Failure       State = "failure"       // the last attempt failed
	Configuration State = "configuration" // a tunnel is being made, or made again
	Ready         State = "ready"
	Disconnecting State = "disconnect" // the tunnel is being taken down
)

// steps are the states that may follow each.
var steps = map[State][]State{
	Idle:          {Configuration},
	Failure:       {Configuration, Disconnecting},
	Configuration: {Ready, Failure, Disconnecting},
	Ready:         {Configuration, Failure, Disconnecting},
	Disconnecting: {Idle},
}

// setState is the only way from state to state. Idle is reached by way of
// Disconnecting, as it always was: some clients wait for that.
func (c *Connection) setState(to State, why string) {
	if c.state == to {
		return
	}
	if to == Idle && c.state != Disconnecting {
		c.setState(Disconnecting, why)
	}
	if !slices.Contains(steps[c.state], to) {
		panic(fmt.Sprintf("core: connection %s goes from %s to %s", c.id, c.state, to))
	}
	c.m.log.Debug("connection", "id", c.id, "from", string(c.state), "to", string(to), "why", why)
	c.state = to
	c.m.changes.state(c)
}
