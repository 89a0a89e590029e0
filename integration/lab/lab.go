package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// Lab is one world: hosts, and the directory that holds their files.
type Lab struct {
	// Dir holds a directory for each host.
	Dir   string
	hosts []*Host
}

// New makes an empty world.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("cannot make network namespaces: not root")
	}
	dir, err := os.MkdirTemp("", "connman-lab-")
	if err != nil {
		return nil, fmt.Errorf("cannot make the lab's directory: %w", err)
	}
	// The daemons that give up root must still reach their files.
	if err := os.Chmod(dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot open the lab's directory: %w", err)
	}
	return &Lab{Dir: dir}, nil
}

// ForTest makes a world that ends with the test. A test that failed keeps the
// output of its programs in the test's log.
func ForTest(t testing.TB) *Lab {
	t.Helper()
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.logOutputs(t)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// logOutputs copies the end of what each program wrote to the test's log.
func (l *Lab) logOutputs(t testing.TB) {
	const most = 8 << 10
	files, _ := filepath.Glob(filepath.Join(l.Dir, "*", "*.log"))
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil || len(data) == 0 {
			continue
		}
		t.Logf("%s:\n%s", filepath.Base(file), data[max(0, len(data)-most):])
	}
}

// Close ends every program, removes every host and deletes the directory.
func (l *Lab) Close() error {
	var errs []error
	for _, h := range l.hosts {
		errs = append(errs, h.close())
	}
	l.hosts = nil
	errs = append(errs, os.RemoveAll(l.Dir))
	return errors.Join(errs...)
}
