package opaque

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
)

// hardwareSize is the length of a hardware address (IEEE 802).
const hardwareSize = 6

// HardwareAddr makes a hardware address, in binary, that says nothing of the
// adapter but is always the same for an adapter and a network.
func (k Key) HardwareAddr(network, adapter string) string {
	mac := hmac.New(sha256.New, []byte(k.secret.Reveal()))
	mac.Write([]byte("hardware address\x00" + adapter + "\x00" + network))
	return local(mac.Sum(nil)[:hardwareSize])
}

// RandomHardwareAddr makes a hardware address, in binary, that nobody can foresee.
func RandomHardwareAddr() string {
	random := make([]byte, hardwareSize)
	_, _ = rand.Read(random) // never fails
	return local(random)
}

// local marks an address as one machine's, and as no vendor's (IEEE 802c).
func local(address []byte) string {
	address[0] = address[0]&^1 | 2
	return string(address)
}
