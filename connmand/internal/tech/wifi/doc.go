// Package wifi is the bearer of wireless networks, by way of wpa_supplicant
// (fi.w1.wpa_supplicant1 on the bus).
//
// An adapter is a device of the domain while its link and the supplicant are both
// there; the supplicant takes care of it while it is powered. Access points (BSSs)
// with the same SSID and the same kind of security are one network, named as in
// the C implementation: HEXSSID_managed_SECURITY.
//
// What the supplicant tells is what anybody sent over the air: each door (bss.go)
// checks types and lengths. Everything runs on the loop.
package wifi
