package main

import (
	"net.connman/vpnd/internal/config"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/provider/wireguard"
)

// types are the types of VPN, for the files that configure one of them.
var types = []string{"openvpn", "l2tp", "pptp", "vpnc", "openconnect", "wireguard"}

// providers makes the providers, one for each type. What they need besides the
// loop and the log is made here, too.
func (d *daemon) providers(cfg config.Config) []core.Provider {
	return []core.Provider{
		wireguard.New(d.loop, d.log),
	}
}
