package settings

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

// secretFile holds the secret, in hexadecimal digits.
const secretFile = "ipv6-secret"

// secretSize is the secret's length in bytes; RFC 7217, 5 wants 16 at least.
const secretSize = 32

// Secret returns random bytes that are this machine's as long as the state in
// dir is, made when they are first asked for. With an error they are this run's
// only. It waits for the disk, so call it before the loop runs.
func Secret(dir string) (logx.Secret, error) {
	path := filepath.Join(dir, secretFile)
	secret := make([]byte, secretSize)
	_, _ = rand.Read(secret) // never fails
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return logx.Secret(secret), fmt.Errorf("cannot read the machine's secret: %w", err)
	}
	if kept, err := hex.DecodeString(strings.TrimSpace(string(text))); err == nil && len(kept) == secretSize {
		return logx.Secret(kept), nil
	}
	if err := store.WriteFile(path, []byte(hex.EncodeToString(secret)+"\n")); err != nil {
		return logx.Secret(secret), fmt.Errorf("cannot keep the machine's secret: %w", err)
	}
	return logx.Secret(secret), nil
}
