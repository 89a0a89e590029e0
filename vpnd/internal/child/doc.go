// Package child is what tunnels have in common that a program makes: the
// questions to the user, the link, the child, its script's reports, and the end,
// when all of it is taken away again.
//
// Everything runs on the loop; what waits for the kernel runs in goroutines of
// its own.
package child
