// Package store writes files that survive a crash, a kill and a power cut:
// each is whole and old or whole and new, and readable by its owner alone.
//
// [WriteFile] and [Remove] do it at once and block. A [Writer] does it behind
// the back of an event loop, in one goroutine of its own: changes of the same
// file are gathered for a short while and written once, and a file whose
// content would stay the same is not touched, which spares flash memory.
package store
