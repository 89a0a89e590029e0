package wifi

import (
	"net.connman/pkg/api/supplicant"
	"net.connman/pkg/bus"
)

// verdict is what an access point says when it does not let us in.
type verdict struct {
	reason int32 // why it ended the connection, 0 for no word; negative: we did
	status int32 // how it answered to authentication, 0 for success or no word
}

// What access points say (IEEE 802.11, 9.4.1.7 and 9.4.1.9).
const (
	// Reasons from the first to the second of these have nothing to do with
	// credentials: somebody leaves, there is no room, or the machine is not known.
	reasonLeaves        = 3
	reasonLeavesNetwork = 8

	statusUnspecified = 1
	statusChallenge   = 15 // so WPA3 says that the passphrase is another one
)

// take takes in changed properties of the supplicant's adapter.
func (v *verdict) take(about bus.Dict) {
	if reason, ok := bus.Lookup[int32](about, supplicant.InterfaceDisconnectReason); ok {
		v.reason = reason
	}
	if status, ok := bus.Lookup[int32](about, supplicant.InterfaceAuthStatusCode); ok {
		v.status = status
	}
}

// confused reports whether the access point has ended a handshake for no reason of
// ours: one that has to repeat itself, because it is slow or far away, may take the
// machine for one that it does not know.
func (v verdict) confused() bool { return v.reason >= reasonLeaves && v.reason <= reasonLeavesNetwork }

// refused reports whether the access point has answered no to authentication, which
// with WPA3 is for the passphrase. One that is slow or far away may not answer.
func (v verdict) refused() bool {
	return v.status == statusUnspecified || v.status == statusChallenge
}
