package busapi

import (
	"errors"
	"strings"

	"net.connman/pkg/bus"
	"net.connman/vpnd/internal/core"
)

// errorNames pairs the domain's errors with those of the bus.
var errorNames = []struct {
	domain error
	bus    *bus.Error
}{
	{core.ErrNoAgent, bus.ErrNotRegistered},
	{core.ErrCanceled, bus.ErrOperationCanceled},
	{core.ErrTimeout, bus.ErrOperationTimeout},
	{core.ErrAnswer, bus.ErrPermissionDenied},
	{core.ErrInvalidArguments, bus.ErrInvalidArguments},
	{core.ErrInvalidProperty, bus.ErrInvalidProperty},
	{core.ErrPermissionDenied, bus.ErrPermissionDenied},
	{core.ErrNotSupported, bus.ErrNotSupported},
	{core.ErrNotFound, bus.ErrNotFound},
	{core.ErrNotRegistered, bus.ErrNotRegistered},
	{core.ErrAlreadyExists, bus.ErrAlreadyExists},
	{core.ErrAlreadyConnected, bus.ErrAlreadyConnected},
	{core.ErrInProgress, bus.ErrInProgress},
	{core.ErrAborted, bus.ErrOperationAborted},
}

// busError returns the bus's error for one of the domain. If the domain knows
// more than the name says, that follows the usual text.
func busError(err error) error {
	if e, ok := errors.AsType[*bus.Error](err); ok {
		return e
	}
	for _, e := range errorNames {
		if errors.Is(err, e.domain) {
			more := strings.TrimPrefix(err.Error(), e.domain.Error())
			return &bus.Error{Name: e.bus.Name, Text: e.bus.Text + more}
		}
	}
	return bus.Failed(err.Error())
}

// answer answers a call that has nothing to return.
func answer(call *bus.Call, err error) {
	if err != nil {
		call.Error(busError(err))
		return
	}
	call.Reply()
}
