// Package timezone knows in which country the machine is, as far as its time zone
// tells. Country reads files and waits for the disk; Follow does so in a goroutine
// and reports on the loop.
package timezone
