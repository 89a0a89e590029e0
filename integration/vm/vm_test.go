//go:build netns

package vm

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// limit is how long a guest may take. It is emulated, perhaps beside others.
const limit = 4 * time.Minute

// inside is set where this test's program runs as a guest's command.
const inside = "VM_TEST_INSIDE"

func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	os.Exit(look())
}

// guest is one that runs this program again.
func guest(t *testing.T, task string) Guest {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Guest{
		Peers: os.Getenv("CONNMAN_REFERENCE"), Command: []string{program, "a b", "it's"},
		Dir: filepath.Dir(program), Env: []string{inside + "=" + task}, Share: t.TempDir(),
	}
}

// look is what runs inside: it says what it sees.
func look() int {
	fmt.Println("running with", strings.Join(os.Args[1:], ", "))
	if os.Getenv(inside) == "hang" {
		select {}
	}
	radios, err := filepath.Glob("/sys/class/ieee80211/*")
	fmt.Println("radios:", len(radios), err)
	for _, module := range []string{"wireguard", "ppp_generic"} {
		_, err := os.Stat("/sys/module/" + module)
		fmt.Println(module, err)
	}
	_, own := os.Stat(os.Args[0])
	fmt.Println("program:", own, "written:", os.WriteFile("/etc/vm-test", nil, 0o600))
	if err := os.WriteFile(filepath.Join(ShareDir, "found"), []byte("here"), 0o600); err != nil {
		fmt.Println(err)
	}
	return 7
}

// A guest has the kernel modules it asks for and the host's files; output, exit
// status and files come back, and what it writes elsewhere doesn't.
func TestGuest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	g := guest(t, "look")
	g.Modules = []string{"mac80211_hwsim radios=3", "wireguard", "ppp_generic"}
	var output bytes.Buffer
	g.Output = &output
	err := Run(ctx, g)
	var exit *ExitError
	if !errors.As(err, &exit) || exit.Status != 7 {
		t.Errorf("ended with %v, want exit status 7", err)
	}
	const want = `running with a b, it's
radios: 3 <nil>
wireguard <nil>
ppp_generic <nil>
program: <nil> written: <nil>
`
	if output.String() != want {
		t.Errorf("output is\n%swant\n%s", output.String(), want)
	}
	if found, err := os.ReadFile(filepath.Join(g.Share, "found")); err != nil || string(found) != "here" {
		t.Errorf("the shared file holds %q, %v", found, err)
	}
	if _, err := os.Stat("/etc/vm-test"); err == nil {
		t.Error("the guest wrote to the host's file system")
	}
}

// A guest whose command never ends is ended with the context, and says so.
func TestHangingGuest(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	g := guest(t, "hang")
	read, write := io.Pipe()
	g.Output = write
	ended := make(chan error, 1)
	go func() {
		ended <- Run(ctx, g)
		write.Close()
	}()
	if line, err := bufio.NewReader(read).ReadString('\n'); err != nil {
		t.Errorf("the guest said %q, %v", line, err)
	}
	cancel()
	go io.Copy(io.Discard, read)
	if err := <-ended; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "did not end in time") {
		t.Errorf("ended with %v", err)
	}
}

// What cannot start says what is missing.
func TestNoPeers(t *testing.T) {
	err := Run(t.Context(), Guest{Peers: t.TempDir(), Command: []string{"true"}, Dir: "/", Output: io.Discard})
	if err == nil || !strings.Contains(err.Error(), "busybox") {
		t.Errorf("error %v, want one that names busybox", err)
	}
}
