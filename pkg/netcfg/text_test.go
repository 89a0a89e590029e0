package netcfg

import (
	"strings"
	"testing"
)

func TestValidName(t *testing.T) {
	long := strings.Repeat("a", maxLabel)
	for s, want := range map[string]bool{
		"a": true, "host.example": true, "_srv.A-1.example": true, long + ".x": true,
		strings.Repeat(long+".", 3) + strings.Repeat("b", 61): true,
		"": false, ".": false, "a.": false, ".a": false, "a..b": false, "-a": false, "a-": false,
		"a b": false, "$(id)": false, "ä": false, "a\n": false, long + "a": false,
		strings.Repeat(long+".", 3) + strings.Repeat("b", 62): false,
	} {
		if got := ValidName(s); got != want {
			t.Errorf("ValidName(%q) = %v", s, got)
		}
	}
}

func TestValidURL(t *testing.T) {
	for s, want := range map[string]bool{
		"http://a": true, "https://portal.example/api?x=1": true, "http://[fe80::1]/": true,
		"": false, "http://": false, "ftp://a": false, "file:///etc/passwd": false, "http://a/ b": false, "http://a/\n": false,
		"http://a/é": false, "http://a/" + strings.Repeat("x", maxURL): false,
	} {
		if got := ValidURL(s); got != want {
			t.Errorf("ValidURL(%q) = %v", s, got)
		}
	}
}
