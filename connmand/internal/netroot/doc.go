// Package netroot finds the link that the root file system comes through. Who
// touches that link pulls the machine's disk out. It runs once, at start.
package netroot
