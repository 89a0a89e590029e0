package busapi

import (
	"errors"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/bus"
)

// errorNames pairs the domain's errors with those of the bus.
var errorNames = []struct {
	domain error
	bus    *bus.Error
}{
	{core.ErrInvalidArguments, bus.ErrInvalidArguments},
	{core.ErrInvalidProperty, bus.ErrInvalidProperty},
	{core.ErrInvalidService, bus.ErrInvalidService},
	{core.ErrPermissionDenied, bus.ErrPermissionDenied},
	{core.ErrNotSupported, bus.ErrNotSupported},
	{core.ErrNotFound, bus.ErrNotFound},
	{core.ErrNotRegistered, bus.ErrNotRegistered},
	{core.ErrAlreadyExists, bus.ErrAlreadyExists},
	{core.ErrAlreadyEnabled, bus.ErrAlreadyEnabled},
	{core.ErrAlreadyDisabled, bus.ErrAlreadyDisabled},
	{core.ErrAlreadyConnected, bus.ErrAlreadyConnected},
	{core.ErrNotConnected, bus.ErrNotConnected},
	{core.ErrInProgress, bus.ErrInProgress},
	{core.ErrPassphraseRequired, bus.ErrPassphraseRequired},
	{core.ErrNoCarrier, bus.ErrNoCarrier},
	{core.ErrAborted, bus.ErrOperationAborted},
	{core.ErrTimeout, bus.ErrOperationTimeout},
	{core.ErrFailed, bus.Failed("Input/output error")},
}

// busError returns the bus's error for one of the domain; what has no name of
// its own is net.connman.Error.Failed with the error's text.
func busError(err error) error {
	for _, e := range errorNames {
		if errors.Is(err, e.domain) {
			return e.bus
		}
	}
	return bus.Failed(err.Error())
}
