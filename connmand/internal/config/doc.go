// Package config reads connman.conf(5): main.conf, or the same in TOML.
//
// Every key is checked here, once; the result is an immutable [Config]. Keys
// and groups that are unknown or wrong are returned as problems for the log
// and leave the default, as in the C implementation, so a mistake never keeps
// the daemon from starting.
//
// It runs once, before the loop.
package config
