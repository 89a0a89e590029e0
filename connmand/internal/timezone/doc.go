// Package timezone knows in which country the machine is, as far as its time zone
// tells. Its functions read files and wait for the disk: they are not for the loop.
package timezone
