package bus

import (
	"errors"
	"fmt"
)

// Error is a D-Bus error: what a call is answered with, and what a call of ours
// that was refused ends with.
type Error struct {
	Name string // such as net.connman.Error.InvalidArguments
	Text string
}

func (e *Error) Error() string {
	if e.Text == "" {
		return e.Name
	}
	return e.Text
}

// Is makes errors.Is compare names: the text may differ.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Name == e.Name
}

// Failed returns the error net.connman.Error.Failed with a text of its own.
func Failed(text string) *Error { return &Error{"net.connman.Error.Failed", text} }

// The errors of net.connman. Programs compare the texts too.
var (
	ErrAlreadyConnected   = &Error{"net.connman.Error.AlreadyConnected", "Already connected"}
	ErrAlreadyDisabled    = &Error{"net.connman.Error.AlreadyDisabled", "Already disabled"}
	ErrAlreadyEnabled     = &Error{"net.connman.Error.AlreadyEnabled", "Already enabled"}
	ErrAlreadyExists      = &Error{"net.connman.Error.AlreadyExists", "Already exists"}
	ErrInProgress         = &Error{"net.connman.Error.InProgress", "In progress"}
	ErrInvalidArguments   = &Error{"net.connman.Error.InvalidArguments", "Invalid arguments"}
	ErrInvalidProperty    = &Error{"net.connman.Error.InvalidProperty", "Invalid property"}
	ErrInvalidService     = &Error{"net.connman.Error.InvalidService", "Invalid service"}
	ErrNoCarrier          = &Error{"net.connman.Error.NoCarrier", "No carrier"}
	ErrNotConnected       = &Error{"net.connman.Error.NotConnected", "Not connected"}
	ErrNotFound           = &Error{"net.connman.Error.NotFound", "Not found"}
	ErrNotImplemented     = &Error{"net.connman.Error.NotImplemented", "Not implemented"}
	ErrNotRegistered      = &Error{"net.connman.Error.NotRegistered", "Not registered"}
	ErrNotSupported       = &Error{"net.connman.Error.NotSupported", "Not supported"}
	ErrNotUnique          = &Error{"net.connman.Error.NotUnique", "Not unique"}
	ErrOperationAborted   = &Error{"net.connman.Error.OperationAborted", "Operation aborted"}
	ErrOperationCanceled  = &Error{"net.connman.Error.OperationCanceled", "Operation canceled"}
	ErrOperationTimeout   = &Error{"net.connman.Error.OperationTimeout", "Operation timeout"}
	ErrPassphraseRequired = &Error{"net.connman.Error.PassphraseRequired", "Passphrase required"}
	ErrPermissionDenied   = &Error{"net.connman.Error.PermissionDenied", "Permission denied"}
)

// Errors of the bus itself.
var (
	// ErrNoReply ends a call whose time ran out.
	ErrNoReply = &Error{"org.freedesktop.DBus.Error.NoReply", "No reply within the time allowed"}
	// ErrServiceUnknown says that nobody owns the name that was called.
	ErrServiceUnknown = &Error{"org.freedesktop.DBus.Error.ServiceUnknown", "Nobody owns the name"}
	// ErrDisconnected ends calls under way when the bus goes away.
	ErrDisconnected = errors.New("the connection to the bus is gone")
)

// asError returns err as the D-Bus error that a caller sees.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return Failed(err.Error())
}

// NameTakenError says that another process owns the name that was requested.
type NameTakenError struct {
	Name  string
	Owner string // unique bus name, "" when the owner left meanwhile
	PID   uint32 // process of the owner, 0 if unknown
}

func (e *NameTakenError) Error() string {
	switch {
	case e.PID != 0:
		return fmt.Sprintf("bus name %s is owned by process %d", e.Name, e.PID)
	case e.Owner != "":
		return fmt.Sprintf("bus name %s is owned by %s", e.Name, e.Owner)
	}
	return fmt.Sprintf("bus name %s is owned by another process", e.Name)
}
