package core

// State is the state of a service or of one of its address families, spelt as
// on the bus.
type State string

// The states.
const (
	Idle          State = "idle"
	Failed        State = "failure"
	Association   State = "association"
	Configuration State = "configuration"
	Ready         State = "ready"
	Online        State = "online"
	Disconnect    State = "disconnect"
)

// Connected reports whether traffic flows in the state.
func (s State) Connected() bool { return s == Ready || s == Online }

// Connecting reports whether the state leads to a connection.
func (s State) Connecting() bool { return s == Association || s == Configuration }

// next lists the states that one address family may go to from each state.
var next = map[State][]State{
	Idle:          {Association, Configuration, Failed},
	Failed:        {Idle, Association, Configuration},
	Association:   {Configuration, Ready, Failed, Disconnect, Idle},
	Configuration: {Association, Ready, Failed, Disconnect, Idle},
	Ready:         {Online, Configuration, Failed, Disconnect},
	Online:        {Ready, Configuration, Failed, Disconnect},
	Disconnect:    {Idle},
}

// precedence orders the states by how much they say about a service when its
// two families are in different states.
var precedence = []State{Online, Ready, Configuration, Association, Disconnect, Failed, Idle}

// combine gives a service's state, a pure function of its families' states.
func combine(ipv4, ipv6 State) State {
	for _, s := range precedence {
		if ipv4 == s || ipv6 == s {
			return s
		}
	}
	return Idle
}
