// Package keyfile reads, edits and writes the key files that ConnMan has
// always used: groups in brackets, one key=value a line, comments behind #.
//
// The dialect is GLib's (GKeyFile), escapes and lists included, so that files
// move between this implementation and the C one. Unlike GLib a [File] keeps
// every byte it was not asked to change: comments, blank lines, order, spaces
// and line endings. Reading is lenient: what cannot be understood is reported
// as a [Problem] with its line, and the rest is used.
//
// [ParseTOML] reads the same groups and keys from TOML into the same File, so
// whoever loads configuration handles both alike.
//
// The package has no state and no goroutine. A File belongs to whoever made it.
package keyfile
