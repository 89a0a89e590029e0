// Package vm runs a program in a virtual machine with Debian's kernel, for tests
// that need what the machine's own kernel lacks: simulated radios, ppp,
// WireGuard and the like.
//
// The guest is started from a small initramfs. It sees the host's file system
// read-only over 9p, below a layer in memory that takes all writes, so programs
// and files have the paths they have outside, and nothing that the guest does
// to them stays. The kernel finds the rules of countries for radios among the peers.
// Emulation is in software: /dev/kvm is often there and refuses.
//
// [Run] may be called on any goroutine; it returns when QEMU has ended, which it
// kills at the end of the context at the latest. Guests know nothing of each
// other.
//
// vmrun is the program for "go test -exec", so that a package's tests run in a
// guest of their own.
package vm
