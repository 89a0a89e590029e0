package core

import "testing"

// A tunnel that only its routes pass makes the connection one with SplitRouting
// while it is up, and what connmand says of that is not the user's word.
func TestSplitTunnel(t *testing.T) {
	run(t, nil, func(w *world) {
		c := w.create(Description{})
		w.connect(c)
		w.changes()
		w.do(func() { w.provider.last().report(Up{Tunnel{Index: 3, Split: true}}) })
		if !c.SplitRouting() {
			t.Error("no SplitRouting though nothing but routes passes")
		}
		w.do(func() { c.FollowSplitRouting(true) })
		if w.store.saved[c.ID()].SplitRouting {
			t.Error("what the tunnel is was saved as what the user wants")
		}
		split := 0
		for _, property := range w.changes() {
			if property == PropSplitRouting {
				split++
			}
		}
		if split != 1 {
			t.Errorf("clients are told %d times", split)
		}
		w.do(c.Disconnect)
		if c.SplitRouting() {
			t.Error("SplitRouting outlives the tunnel")
		}
		w.do(func() { c.FollowSplitRouting(true) })
		if !w.store.saved[c.ID()].SplitRouting {
			t.Error("what the user told connmand is not saved")
		}
	})
}
