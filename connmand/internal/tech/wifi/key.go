package wifi

import (
	"context"
	"fmt"

	"golang.org/x/sys/unix"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/logx"
	"net.connman/pkg/loop"
)

// byFileSystem is the PrivateKeyPassphraseType of keys that are of use on their own
// file system only: its identifier is their passphrase.
const byFileSystem = "fsid"

// unlock finds out the passphrase of the private key where its file system knows it.
func (t *attempt) unlock(c core.Credentials, then func(core.Credentials)) {
	if c.Spec == nil || c.Spec.PrivateKeyPassphraseType != byFileSystem || c.Spec.PrivateKeyFile == "" {
		then(c)
		return
	}
	path := c.Spec.PrivateKeyFile
	op := loop.Go(t.n.a.b.Loop, "file system of a key", func(context.Context) (string, error) {
		return fileSystemID(path)
	}, func(id string, err error) {
		if err != nil {
			t.tell(err)
			return
		}
		spec := *c.Spec
		spec.PrivateKeyPassphrase = logx.Secret(id)
		c.Spec = &spec
		then(c)
	})
	t.cancel = op.Cancel
}

// fileSystemID is the identifier of the file system that a file lies on, in
// hexadecimal digits, as "stat -f -c %i" prints it.
func fileSystemID(path string) (string, error) {
	var about unix.Statfs_t
	if err := unix.Statfs(path, &about); err != nil {
		return "", fmt.Errorf("cannot find the file system of %s: %w", path, err)
	}
	high, low := uint32(about.Fsid.Val[0]), uint32(about.Fsid.Val[1])
	return fmt.Sprintf("%x", uint64(high)<<32|uint64(low)), nil
}
