package core

import (
	"time"

	"net.connman/pkg/logx"
)

// What core needs from outside, besides the providers. Every function here is
// called on the loop, returns at once and reports on the loop.

// Ports are all of it.
type Ports struct {
	Storage Storage
	Agents  AgentCaller
}

// Config is what the administrator decides.
type Config struct {
	InputRequestTimeout time.Duration // how long an agent has for its answer
}

// Storage keeps connections over restarts.
type Storage interface {
	Save(Saved)
	Remove(id string)
	// Sync writes what was saved without delay; done runs when it is on the disk,
	// or could not be written.
	Sync(done func())
}

// Saved is a connection as it is kept.
type Saved struct {
	ID, Type, Name, Host string
	Domain               string // "" if there is none
	SplitRouting         bool
	Routes               []Route
	// Values are the other settings, each key once. One without a value is to be
	// forgotten.
	Values []Value
}

// Value is a setting, which may be secret.
type Value struct {
	Key  string
	Text logx.Secret
}

// AgentID names an agent: a bus client and its object.
type AgentID struct {
	Owner string // unique bus name
	Path  string
}

// AgentCaller talks to agents. Each call is answered once, or not at all after
// cancel, which also sends the agent a Cancel.
type AgentCaller interface {
	// RequestInput asks for fields, for the connection called id. The error is
	// ErrCanceled, ErrTimeout, ErrAnswer, or ErrNoAgent when the agent failed.
	RequestInput(a AgentID, id string, fields []Field, timeout time.Duration, done func(Answer, error)) (cancel func())
	// ReportError tells what went wrong with the connection called id, in one of
	// the words that connmand has for services, such as "connect-failed"; retry is
	// the user's wish to try again.
	ReportError(a AgentID, id, reason string, timeout time.Duration, done func(retry bool)) (cancel func())
	// Release tells the agent that it is no longer registered.
	Release(a AgentID)
}

// Spec is one [provider_*] group of a provisioning file.
type Spec struct {
	File  string // its name without the ending
	Entry string // the group's name without provider_

	Type, Name, Host string
	Domain           string // "" if there is none
	SplitRouting     bool
	Settings         Settings
}
