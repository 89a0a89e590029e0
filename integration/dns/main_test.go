//go:build netns

package dns

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	os.Setenv("SSL_CERT_FILE", roots) // inherited by daemons
	goleak.VerifyTestMain(m)
}
