// Package lab is the world in which the client is tested: a message bus of its
// own and scripted daemons on it, which answer as they are told, write down what
// they were asked and send signals. Nothing in it reaches the system's bus.
//
// A [Daemon] answers on its connection's goroutine; its methods may be called
// from any.
package lab
