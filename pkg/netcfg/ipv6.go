package netcfg

// IPv6Mode says who looks after IPv6 on a link.
type IPv6Mode uint8

// The modes.
const (
	// IPv6Kernel is the kernel, with the settings that it had before.
	IPv6Kernel IPv6Mode = iota
	// IPv6Quiet is nobody for now: routers are not listened to. Whether there is
	// IPv6 at all stays as it is.
	IPv6Quiet
	// IPv6Disabled is nobody: there is no IPv6, not even a link-local address.
	IPv6Disabled
	// IPv6Ours leaves the kernel the link-local address; routers are our
	// business.
	IPv6Ours
	// IPv6Temporary is IPv6Ours with temporary addresses (RFC 8981), which
	// programs have to ask for.
	IPv6Temporary
	// IPv6PreferTemporary is IPv6Ours with temporary addresses, which programs
	// use unless they ask for something else.
	IPv6PreferTemporary
)

// MinIPv6MTU is the least MTU of a link that carries IPv6, in bytes (RFC 8200,
// 5).
const MinIPv6MTU = 1280

// IPv6Link says how the kernel is to treat IPv6 on a link.
type IPv6Link struct {
	Mode     IPv6Mode
	MTU      int // of IPv6 packets, in bytes; 0 is the link's own
	HopLimit int // of packets sent, up to 255; 0 is the kernel's own
}
