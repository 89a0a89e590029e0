// Package wireguard tests tunnels of WireGuard with connmand and connman-vpnd
// together, in a virtual machine whose kernel has it: a machine at home, whose
// router is also where the tunnels end.
package wireguard
