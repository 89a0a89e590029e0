// Package settings keeps the VPN connections over restarts, in connmand's state
// directory and in the format of the C implementation: a file
// provider_IDENTIFIER/settings for each connection, with a group of its name.
// Either implementation can go on with the other's directory.
//
// What is read is checked: a wrong value is logged and left out, and a file that
// is no key file is left alone. What is not known is kept: other groups, keys and
// comments survive every save.
//
// A [Store]'s methods are for the loop and never wait for the disk; files are
// written in a goroutine of package store.
package settings
