package opaque

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"net.connman/pkg/logx"
	"net.connman/pkg/store"
)

// fileName is the file with the key, in hexadecimal digits.
const fileName = "ipv6-secret"

// keySize is in bytes; RFC 7217, 5 wants 16 at least.
const keySize = 32

// Key is what addresses are made of.
type Key struct{ secret logx.Secret }

// Load returns the key that is kept in dir, made at random when it is first
// asked for. With an error the key is this run's only. It waits for the disk.
func Load(dir string) (Key, error) {
	path := filepath.Join(dir, fileName)
	random := make([]byte, keySize)
	_, _ = rand.Read(random) // never fails
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Key{logx.Secret(random)}, fmt.Errorf("cannot read the key of IPv6 addresses: %w", err)
	}
	if kept, err := hex.DecodeString(strings.TrimSpace(string(text))); err == nil && len(kept) == keySize {
		return Key{logx.Secret(kept)}, nil
	}
	if err := store.WriteFile(path, []byte(hex.EncodeToString(random)+"\n")); err != nil {
		return Key{logx.Secret(random)}, fmt.Errorf("cannot keep the key of IPv6 addresses: %w", err)
	}
	return Key{logx.Secret(random)}, nil
}
