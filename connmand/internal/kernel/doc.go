// Package kernel speaks rtnetlink and sysctl for the rest of the daemon: it
// reports links, addresses and routes as values and changes them one request
// at a time. It decides nothing.
//
// [Netlink.Run] is a goroutine of its own that reads one multicast socket, so
// that what it delivers is in the order in which the kernel did it. Requests
// block and may come from any goroutine but the loop's. Values that are
// delivered are never changed afterwards.
//
// Package fake is the same in memory; kerneltest holds the suite that both
// pass.
package kernel
