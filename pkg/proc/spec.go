package proc

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"

	"net.connman/pkg/logx"
)

// Spec says what to run, and how.
type Spec struct {
	Program string   // path of the executable
	Args    []string // without the program's name; everybody on the machine can read them
	Env     []string // "NAME=value", all of it
	// Identity is the user and the groups of the child. The zero value leaves
	// those of the daemon.
	Identity Identity
	// Secrets can be read by the child, any number of times, at [SecretPath].
	Secrets []logx.Secret
	// Input makes the child's standard input a pipe for Send. Without it there is
	// nothing to read.
	Input bool
	// Private, if not "", is a directory that exists as long as the child: mode
	// 0700, owned by the child's user. What lies above it must be there and not
	// be anybody's to write.
	Private string
	// Files are put into Private, by name: mode 0600, owned by the child's user.
	Files map[string]string
	// Prepare, if not nil, runs when Private is there and before the child is. It
	// runs outside the loop.
	Prepare func() error
	// Grace is how long the child may take to end after it was told to, before
	// it is killed; 0 means DefaultGrace.
	Grace time.Duration
}

// DefaultGrace is how long most programs may take to say goodbye.
const DefaultGrace = 3 * time.Second

// firstSecret is the file descriptor of the first secret.
const firstSecret = 3

// SecretPath is where a child reads the n-th of Spec.Secrets, from 0. It holds
// for the child itself: programs commonly close what they inherited before they
// start others.
func SecretPath(n int) string { return "/dev/fd/" + strconv.Itoa(firstSecret+n) }

// Find returns the path of a program: in PATH, or where daemons are that are not
// in everybody's.
func Find(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin") {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("the program %s is not installed", name)
}

// Identity is who a child runs as. Users and groups are names or numbers.
type Identity struct {
	User   string
	Group  string   // "" is the user's own group
	Groups []string // supplementary ones
}

// IsZero reports whether the child runs as the daemon does.
func (i Identity) IsZero() bool { return i.User == "" && i.Group == "" && len(i.Groups) == 0 }

// UID returns the user's number. It may read files: call it outside the loop.
func (i Identity) UID() (uint32, error) {
	c, err := i.credential()
	if err != nil || c == nil {
		return uint32(syscall.Geteuid()), err
	}
	return c.Uid, nil
}

// credential looks up what i names; nil leaves all as it is.
func (i Identity) credential() (*syscall.Credential, error) {
	if i.IsZero() {
		return nil, nil
	}
	c := &syscall.Credential{Uid: uint32(syscall.Geteuid()), Gid: uint32(syscall.Getegid())}
	if i.User != "" {
		u, err := lookUpUser(i.User)
		if err != nil {
			return nil, err
		}
		if c.Uid, err = number(u.Uid); err != nil {
			return nil, err
		}
		if c.Gid, err = number(u.Gid); err != nil {
			return nil, err
		}
	}
	if i.Group != "" {
		gid, err := lookUpGroup(i.Group)
		if err != nil {
			return nil, err
		}
		c.Gid = gid
	}
	for _, name := range i.Groups {
		gid, err := lookUpGroup(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(c.Groups, gid) {
			c.Groups = append(c.Groups, gid)
		}
	}
	return c, nil
}

func lookUpUser(name string) (*user.User, error) {
	u, err := user.Lookup(name)
	if err == nil {
		return u, nil
	}
	if _, notNumber := number(name); notNumber == nil {
		if u, err := user.LookupId(name); err == nil {
			return u, nil
		}
	}
	return nil, fmt.Errorf("cannot run as user %q: %w", name, err)
}

func lookUpGroup(name string) (uint32, error) {
	g, err := user.LookupGroup(name)
	if err == nil {
		return number(g.Gid)
	}
	if gid, notNumber := number(name); notNumber == nil {
		return gid, nil
	}
	return 0, fmt.Errorf("cannot run in group %q: %w", name, err)
}

func number(text string) (uint32, error) {
	n, err := strconv.ParseUint(text, 10, 32)
	return uint32(n), err
}
