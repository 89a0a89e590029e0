// Package sdnotify tells the service manager how the daemon is doing, by
// sd_notify(3): a datagram to the socket that NOTIFY_SOCKET names.
//
// It sends at once, without waiting for anybody, so it runs where it is called.
// The watchdog protocol is left out on purpose: it would wake an idle machine.
package sdnotify
