package link

import (
	"errors"
	"net/netip"
	"testing"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
)

func TestTunnel(t *testing.T) {
	bubble(t, nil, func(h *house) {
		local := netip.MustParseAddr("198.51.100.7")
		var opened []core.Link
		open := func() (close func()) {
			h.on(func() {
				close = h.table.Open6to4(local, func(l core.Link, err error) {
					if err != nil {
						t.Error(err)
					}
					opened = append(opened, l)
				})
			})
			return close
		}
		open()
		again := open() // in the place of the first
		if len(opened) != 2 || opened[1].Name != tunnelName || h.k.Link(opened[0].Index).Name != "" || !h.k.Link(opened[1].Index).Up {
			t.Fatalf("opened %+v", opened)
		}
		h.on(again)
		if h.k.Link(opened[1].Index).Name != "" {
			t.Fatal("not closed")
		}
		h.on(func() {
			h.table.Open6to4(local, func(core.Link, error) { t.Error("told after close") })()
		})
		h.k.Writes()
		h.k.Fail(func(request string) error {
			if request == "add tunnel tun6to4 from 198.51.100.7" {
				return kernel.ErrNoTunnel
			}
			return nil
		})
		var failed error
		h.on(func() { h.table.Open6to4(local, func(_ core.Link, err error) { failed = err }) })
		if !errors.Is(failed, kernel.ErrNoTunnel) {
			t.Fatalf("error %v", failed)
		}
	})
}
