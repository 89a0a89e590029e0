package core

import "errors"

// What an operation can fail with. On the bus each is the error of the same
// name under net.connman.Error.
var (
	ErrInvalidArguments   = errors.New("invalid arguments")
	ErrInvalidProperty    = errors.New("invalid property")
	ErrInvalidService     = errors.New("invalid service")
	ErrPermissionDenied   = errors.New("permission denied")
	ErrNotSupported       = errors.New("not supported")
	ErrNotFound           = errors.New("not found")
	ErrNotRegistered      = errors.New("not registered")
	ErrAlreadyExists      = errors.New("already exists")
	ErrAlreadyEnabled     = errors.New("already enabled")
	ErrAlreadyDisabled    = errors.New("already disabled")
	ErrAlreadyConnected   = errors.New("already connected")
	ErrNotConnected       = errors.New("not connected")
	ErrInProgress         = errors.New("in progress")
	ErrPassphraseRequired = errors.New("passphrase required")
	ErrNoCarrier          = errors.New("no carrier")
	ErrAborted            = errors.New("operation aborted")
	ErrTimeout            = errors.New("operation timeout")
	ErrFailed             = errors.New("connecting failed")
)

// Failure is why a service is in the failure state, or why its way to the
// Internet is not trusted; spelt as on the bus.
type Failure string

// The failures.
const (
	NoFailure         Failure = ""
	ConnectFailed     Failure = "connect-failed"
	InvalidKey        Failure = "invalid-key"
	OnlineCheckFailed Failure = "online-check-failed"
)
