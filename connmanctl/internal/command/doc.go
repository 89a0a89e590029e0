// Package command is what connmanctl can be told to do: the table of commands
// with their help, the checks of their arguments, the calls they make and the
// exit status they lead to. How answers look is left to package view.
//
// A command starts its calls and returns; the answers come later, in any order,
// as in the reference client, so that a prompt stays usable while a connection
// is being made. Everything runs on the loop of the [Session]'s connection.
package command
