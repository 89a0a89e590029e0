// Package provision reads connman-service.config(5): the *.config files, and
// *.toml files of the same content, by which an administrator sets services up.
//
// [Watch] follows the files in the state directory by package configdir, in whose
// goroutine they are read, and hands the loop the complete set of services whenever
// it changes. A group
// that is not wholly understood is left out and reported with file, line and
// key: half a specification could apply to the wrong network.
package provision
