package settings

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "connman")
	first, err := Secret(dir)
	if err != nil || len(first.Reveal()) != secretSize {
		t.Fatalf("%d bytes, %v", len(first.Reveal()), err)
	}
	if again, err := Secret(dir); err != nil || again != first {
		t.Fatalf("another one the second time, %v", err)
	}
	path := filepath.Join(dir, secretFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	for _, damaged := range []string{"", "00", "no digits"} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Secret(dir); err != nil || got == first || len(got.Reveal()) != secretSize {
			t.Fatalf("%q was not replaced: %v", damaged, err)
		}
	}
}

func TestSecretThatCannotBeKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Secret(dir); err == nil || len(got.Reveal()) != secretSize {
		t.Fatalf("%d bytes, %v", len(got.Reveal()), err)
	}
}
