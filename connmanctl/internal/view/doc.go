// Package view turns what the daemon sends into the text that people read and
// other programs parse: the layout is the reference client's byte for byte.
//
// Text from outside is shown, never executed: control characters, which a
// network's name may carry to a terminal, are printed as \x1b and the like.
//
// Everything here is a pure function of its input and runs wherever it is
// called. No input makes it panic; what is missing or of the wrong type is left
// out.
package view
