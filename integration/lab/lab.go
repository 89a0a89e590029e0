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
	run   string // holds the hosts' /run
	hosts []*Host
}

// memory is where a lab's run is made: the /run of a machine is in memory, too.
const memory = "/dev/shm"

// New makes an empty world.
func New() (*Lab, error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("cannot make network namespaces: not root")
	}
	dir, err := directory("")
	if err != nil {
		return nil, err
	}
	run, err := directory(memory)
	if err != nil {
		return nil, errors.Join(err, os.Remove(dir))
	}
	return &Lab{Dir: dir, run: run}, nil
}

// directory makes one that the daemons reach that give up root.
func directory(above string) (string, error) {
	dir, err := os.MkdirTemp(above, "connman-lab-")
	if err != nil {
		return "", fmt.Errorf("cannot make a directory for the lab: %w", err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot open the lab's directory: %w", err)
	}
	return dir, nil
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

// Close ends every program, removes every host and deletes the directories.
func (l *Lab) Close() error {
	var errs []error
	for _, h := range l.hosts {
		errs = append(errs, h.close())
	}
	l.hosts = nil
	errs = append(errs, os.RemoveAll(l.Dir), os.RemoveAll(l.run))
	return errors.Join(errs...)
}
