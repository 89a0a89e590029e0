// Package link mirrors the kernel's links on the loop and makes what a link has
// equal to what it should have, with no more requests than that takes.
//
// [Table] belongs to the loop; requests to the kernel run off it, one series at
// a time for each link. What the daemon put on a link is marked in the kernel
// (see kernel.Protocol), so that a later run knows it from what others put
// there, which stays. Something missing that should be there is put back.
package link
