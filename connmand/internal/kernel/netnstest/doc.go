// Package netnstest runs a package's tests in a network namespace of their own.
package netnstest
