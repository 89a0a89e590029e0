// Package dirwatch tells when files of a directory change, by inotify(7).
//
// The directory may come later, go, and come again. Each [Watch] has a goroutine of
// its own, which ends with its context.
package dirwatch
