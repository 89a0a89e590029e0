// Package wifi tests the daemon on simulated radios: real drivers, wpa_supplicant
// and hostapd, in the kernel of a virtual machine. Its tests carry the build tag
// vm and run by way of integration/vm (make vm).
//
// They share one world, because a machine that is emulated makes one slowly: a
// machine with one radio, and a house with several and a router. Each test starts
// the daemon with nothing remembered, and the access points that it needs. Hence
// none of them runs beside another.
package wifi
