// Package techtest is the conformance suite that every bearer passes: its
// devices and networks come, go and flap, its technology is switched, and what
// users see of it stays right.
package techtest
