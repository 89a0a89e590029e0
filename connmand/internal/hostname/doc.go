// Package hostname sets the machine's host and domain name to what the network
// says and gives them back.
//
// Only the kernel's names change (sethostname(2), setdomainname(2)), never a
// file. The system calls do not wait, so everything runs on the loop.
package hostname
