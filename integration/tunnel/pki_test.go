//go:build netns || vm

package tunnel

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"net.connman/integration/pki"
)

// authority signs certificates for a test.
type authority struct {
	*pki.Authority
	t testing.TB
}

// newAuthority makes one whose files programs can read that are not root.
func newAuthority(t testing.TB) *authority {
	t.Helper()
	dir := t.TempDir()
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Chmod(filepath.Dir(dir), 0o755))
	a, err := pki.New(dir)
	must(t, err)
	return &authority{a, t}
}

// issue makes a certificate and its key; for servers the name is an address.
func (a *authority) issue(name string, server bool) (cert, key string) {
	a.t.Helper()
	issue := a.Client
	if server {
		issue = a.Server
	}
	cert, key, err := issue(name)
	must(a.t, err)
	return cert, key
}

// pin is the hash of a certificate's key, as openconnect writes it.
func pin(t testing.TB, cert string) string {
	t.Helper()
	text, err := os.ReadFile(cert)
	must(t, err)
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return "pin-sha256:" + base64.StdEncoding.EncodeToString(sum[:])
}
