// Package wifi tests the daemon on simulated radios: real drivers, wpa_supplicant
// and hostapd, in the kernel of a virtual machine. Its tests carry the build tag
// vm and run by way of integration/vm (make vm).
//
// They share worlds, because a machine that is emulated makes them slowly: in each
// a machine with one radio, and a house with several and a router. As many tests
// run side by side as "go test -parallel" says, each in a world whose radios hear
// none of another. Each starts the daemon with nothing remembered, and the access points
// that it needs.
package wifi
