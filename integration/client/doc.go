// Package client compares connmanctl and connmand-wait-online with the
// reference's on daemons that run: the same bus and the same daemon, once the
// reference's and once ours, and every command with good and bad arguments.
// There is nothing in it but tests.
package client
