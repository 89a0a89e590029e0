// Package vpnd tests connman-vpnd as a whole: the real daemon on a bus of its own
// in a network namespace, beside the reference's where that is installed. What
// its providers do with real servers is tested elsewhere.
package vpnd
