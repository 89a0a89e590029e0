// Package shell is connmanctl without arguments: a prompt, or a script on
// standard input.
//
// At a terminal the prompt is back at once and answers appear above the line
// being typed. Without one, lines are read from standard input, each after the
// one before is through, and nothing but the answers is printed.
//
// Lines are read in a goroutine of their own; everything else runs on the loop.
package shell
