package busapi

import (
	"os"
	"testing"

	"net.connman/pkg/bus"
	"net.connman/pkg/bus/bustest"
)

// Nobody but root may have files written.
func TestMayProvision(t *testing.T) {
	for uid, want := range map[uint32]bool{0: true, 1: false, 1000: false, 65534: false, 1<<32 - 1: false} {
		if got := mayProvision(bus.Credentials{UID: uid, GIDs: []uint32{0}}); got != want {
			t.Errorf("user %d: %v", uid, got)
		}
	}
}

// Who calls is who the bus says it is: the test's own user.
func TestImportAsksTheBus(t *testing.T) {
	w := newWorld(t)
	want, written := "PermissionDenied", 0
	if os.Geteuid() == 0 {
		want, written = "AlreadyExists", 1
	}
	if got := w.call("/", "net.connman.vpn.Provisioning.Import", "x", "content", map[string]string{"cert": "CERT"}); got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	bustest.Do(w.loop, func() {
		if len(w.imported) != written {
			t.Errorf("%q were written", w.imported)
		}
	})
}
