package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs certificates.
type Authority struct {
	// CA is the path of its own certificate.
	CA string

	dir  string
	cert *x509.Certificate
	key  crypto.Signer
}

// New makes an authority whose files are in dir.
func New(dir string) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("cannot make an authority: %w", err)
	}
	a := &Authority{dir: dir, key: key, cert: certificate("Test Authority")}
	a.cert.IsCA, a.cert.BasicConstraintsValid = true, true
	a.cert.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	a.CA, err = a.sign("ca.crt", a.cert, key)
	return a, err
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
}

// Server makes a certificate for the server at an address, and its key.
func (a *Authority) Server(address string) (cert, key string, err error) {
	c := certificate(address)
	c.ExtKeyUsage, c.IPAddresses = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, []net.IP{net.ParseIP(address)}
	return a.issue(address, c)
}

// Client makes a certificate for a client, and its key.
func (a *Authority) Client(name string) (cert, key string, err error) {
	c := certificate(name)
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(name, c)
}

// issue writes a certificate and a new key to files, and returns their paths.
func (a *Authority) issue(name string, c *x509.Certificate) (cert, key string, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return "", "", fmt.Errorf("cannot make a key for %s: %w", name, err)
	}
	if cert, err = a.sign(name+".crt", c, private); err != nil {
		return "", "", err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return "", "", fmt.Errorf("cannot write the key of %s: %w", name, err)
	}
	key, err = a.write(name+".key", "PRIVATE KEY", der)
	return cert, key, err
}

func (a *Authority) sign(file string, c *x509.Certificate, key crypto.Signer) (string, error) {
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	if err != nil {
		return "", fmt.Errorf("cannot sign %s: %w", file, err)
	}
	return a.write(file, "CERTIFICATE", der)
}

func (a *Authority) write(file, kind string, der []byte) (string, error) {
	path := filepath.Join(a.dir, file)
	return path, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o644)
}
