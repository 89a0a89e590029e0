package core

import "errors"

// What an operation can fail with. On the bus each is the error of the same
// name under net.connman.Error.
var (
	ErrInvalidArguments = errors.New("Invalid arguments")
	ErrInvalidProperty  = errors.New("Invalid property")
	ErrInvalidService   = errors.New("Invalid service")
	ErrPermissionDenied = errors.New("Permission denied")
	ErrNotSupported     = errors.New("Not supported")
	ErrNotFound         = errors.New("Not found")
	ErrNotRegistered    = errors.New("Not registered")
	ErrAlreadyExists    = errors.New("Already exists")
	ErrAlreadyEnabled   = errors.New("Already enabled")
	ErrAlreadyDisabled  = errors.New("Already disabled")
	ErrAlreadyConnected = errors.New("Already connected")
	ErrNotConnected     = errors.New("Not connected")
	ErrInProgress       = errors.New("In progress")
	ErrNoCarrier        = errors.New("No carrier")
	ErrAborted          = errors.New("Operation aborted")
	ErrTimeout          = errors.New("Operation timeout")
	ErrCanceled         = errors.New("Operation canceled")
	ErrFailed           = errors.New("Input/output error")
)

// Failure is why a service is in the failure state, or why its way to the
// Internet is not trusted; spelt as on the bus.
type Failure string

// The failures.
const (
	NoFailure         Failure = ""
	OutOfRange        Failure = "out-of-range"
	PinMissing        Failure = "pin-missing"
	DHCPFailed        Failure = "dhcp-failed"
	ConnectFailed     Failure = "connect-failed"
	LoginFailed       Failure = "login-failed"
	AuthFailed        Failure = "auth-failed"
	InvalidKey        Failure = "invalid-key"
	Blocked           Failure = "blocked"
	OnlineCheckFailed Failure = "online-check-failed"
)
