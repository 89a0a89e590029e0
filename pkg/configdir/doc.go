// Package configdir follows a directory of NAME.config files, and NAME.toml files of
// the same content, that specify things in groups: what they specify is told at once
// and whenever it changes.
//
// What is wrong in a file is logged once, with file, line and key. A file that cannot
// be read says what it said when it last could be: only one that is gone, or says
// something else, takes away what it specified.
//
// A [Dir] has a goroutine of its own, which alone reads the files and has them
// changed; it reports on the loop.
package configdir
