package core

import "errors"

// What an operation can fail with. On the bus each is the error of the same
// name under net.connman.Error, with the text of what wraps it.
var (
	ErrInvalidArguments = errors.New("invalid arguments")
	ErrInvalidProperty  = errors.New("invalid property")
	ErrPermissionDenied = errors.New("permission denied")
	ErrNotSupported     = errors.New("not supported")
	ErrNotFound         = errors.New("not found")
	ErrNotRegistered    = errors.New("not registered")
	ErrAlreadyExists    = errors.New("already exists")
	ErrAlreadyConnected = errors.New("already connected")
	ErrInProgress       = errors.New("in progress")
	ErrAborted          = errors.New("operation aborted")

	// What becomes of a question. A provider that gives up because of one says so
	// in Ended's Err.

	ErrNoAgent  = errors.New("there is no agent to ask")  // or no longer
	ErrCanceled = errors.New("the user does not want to") // the agent said so
	ErrTimeout  = errors.New("nobody answered in time")   // see Config.InputRequestTimeout
	ErrAnswer   = errors.New("the answer cannot be used") // a field is missing or has a wrong type
)
