// Package leasefile keeps DHCP leases in files of a runtime directory, so that
// a daemon that was restarted goes on with the addresses that are still on its
// links. It belongs to the loop; files are read and written off it.
//
// What is kept is the server's own message, so that reading it back passes the
// same door as receiving it. Time is kept as the kernel's boot time.
package leasefile
