//go:build vm

package wifi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// identity is a certificate and its key, in files.
type identity struct {
	certificate, key string

	parsed *x509.Certificate
	secret *ecdsa.PrivateKey
}

// issue makes an identity that the authority vouches for; without one it vouches
// for itself and others.
func issue(t *testing.T, dir, name string, authority *identity) *identity {
	t.Helper()
	secret, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	id := &identity{certificate: filepath.Join(dir, name+".pem"), key: filepath.Join(dir, name+".key"), secret: secret}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, secret
	if authority == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
		template.ExtKeyUsage = nil
	} else {
		parent, signer = authority.parsed, authority.secret
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &secret.PublicKey, signer)
	must(t, err)
	id.parsed, err = x509.ParseCertificate(der)
	must(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(secret)
	must(t, err)
	must(t, os.WriteFile(id.certificate, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(id.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
	return id
}

// 802.1X from provisioning files, against hostapd's own server: with a
// certificate, with a password by two ways, and with what the user is asked for:
// refused, let in, and known the next time.
func TestEnterprise(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	authority := issue(t, dir, "authority", nil)
	server := issue(t, dir, "radius.home.test", authority)
	client := issue(t, dir, "me", authority)
	must(t, s.house.WriteFile("/etc/users", `* PEAP,TTLS,TLS
"alice" MSCHAPV2 "wonderland" [2]
"bob" TTLS-PAP "builder" [2]
`))
	s.accessPoint("wlan1", "ssid=Work\nwpa=2\nwpa_key_mgmt=WPA-EAP\nrsn_pairwise=CCMP\nieee8021x=1\neap_server=1\neap_user_file="+
		s.house.Path("/etc/users")+"\nca_cert="+authority.certificate+"\nserver_cert="+server.certificate+"\nprivate_key="+server.key+"\n")
	path := s.path("Work", "ieee8021x")
	trust := "CACertFile=" + authority.certificate + "\nDomainMatch=radius.home.test\n"
	provision := func(s *session, text string) {
		must(s.t, s.machine.WriteFile("/var/lib/connman/work.config", "[service_work]\nType=wifi\nName=Work\n"+trust+text))
	}
	for _, c := range []struct{ name, text string }{
		{"TLS", "EAP=tls\nIdentity=me\nClientCertFile=" + client.certificate + "\nPrivateKeyFile=" + client.key + "\nPrivateKeyPassphrase=none\n"},
		{"PEAP", "EAP=peap\nPhase2=MSCHAPV2\nIdentity=alice\nAnonymousIdentity=nobody\nPassphrase=wonderland\n"},
		{"TTLS", "EAP=ttls\nPhase2=PAP\nIdentity=bob\nPassphrase=builder\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			provision(s, c.text)
			s.connected("Work", "ieee8021x")
			s.unprovision("work", path)
		})
	}
	for _, c := range []struct{ name, text, identity, password string }{
		{"PEAP with the user's answers", "EAP=peap\nPhase2=MSCHAPV2\n", "alice", "wonderland"},
		{"TTLS with the user's answers", "EAP=ttls\nPhase2=PAP\nIdentity=nobody\n", "bob", "builder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := s.in(t)
			provision(s, c.text)
			s.eventually("the service is provisioned", true, func() (any, error) {
				p, err := s.properties(path, "Service")
				return p["Immutable"].Value(), err
			})
			id := filepath.Base(string(path))
			if out, err := s.ctl("connect", id, "--identity", c.identity, "--passphrase-file", s.secretFile("looking glass")); err == nil {
				t.Fatalf("connected with the wrong password: %q", out)
			}
			s.connect(id, "--identity", c.identity, "--passphrase-file", s.secretFile(c.password))
			s.connected("Work", "ieee8021x")
			s.restart()
			s.connected("Work", "ieee8021x")
			s.unprovision("work", path)
		})
	}
	logs, err := os.ReadFile(s.daemon.Log)
	must(t, err)
	for _, secret := range []string{"wonderland", "builder", "looking glass"} {
		if strings.Contains(string(logs), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}
