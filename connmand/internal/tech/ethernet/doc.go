// Package ethernet is the bearer of wired links: it decides which links are
// Ethernet or USB gadget devices of ours, powers them, and reports a cable that
// is in as a network. It runs on the loop.
package ethernet
