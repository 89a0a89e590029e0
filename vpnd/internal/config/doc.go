// Package config reads connman-vpn.conf(5): connman-vpn.conf, or the same in TOML,
// and the files that say otherwise for one type of VPN.
//
// Every key is checked here, once; the result is an immutable [Config]. Keys
// and groups that are unknown or wrong are returned as problems for the log
// and leave the default, as in the C implementation, so a mistake never keeps
// the daemon from starting.
//
// It runs once, before the loop.
package config
