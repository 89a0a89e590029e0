package opaque

import (
	"os"
	"path/filepath"
	"testing"
)

func TestKeyIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "connman")
	first, err := Load(dir)
	if err != nil || len(first.secret.Reveal()) != keySize {
		t.Fatalf("%d bytes, %v", len(first.secret.Reveal()), err)
	}
	if again, err := Load(dir); err != nil || again != first {
		t.Fatalf("another one the second time, %v", err)
	}
	path := filepath.Join(dir, fileName)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	for _, damaged := range []string{"", "00", "no digits"} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Load(dir); err != nil || got == first || len(got.secret.Reveal()) != keySize {
			t.Fatalf("%q was not replaced: %v", damaged, err)
		}
	}
}

func TestKeyThatCannotBeKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Load(dir); err == nil || len(got.secret.Reveal()) != keySize {
		t.Fatalf("%d bytes, %v", len(got.secret.Reveal()), err)
	}
}
