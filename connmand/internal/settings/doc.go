// Package settings keeps what the daemon remembers over restarts, in the state
// directory and in the format of the C implementation: the file settings with a
// group for each technology, and <service>/settings for each service. Either
// implementation can go on with the other's directory.
//
// What it reads it checks: a wrong value is logged and its default taken, and a
// file that is no key file is set aside as settings.corrupt. What it does not
// know it keeps: other groups, keys and comments survive every save.
//
// A [Store]'s methods are for the loop and never wait for the disk; files are
// read in goroutines of loop.Go and written in one of package store.
package settings
