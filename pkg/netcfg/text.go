package netcfg

import (
	"net/url"
	"strings"
)

const (
	maxName  = 253 // bytes of a domain name
	maxLabel = 63
	maxURL   = 1024
)

// ValidName reports whether s names a host or a domain (RFC 1123, and the
// underscore that some networks use). What servers send otherwise might be
// meant for a shell, a file or a log.
func ValidName(s string) bool {
	if len(s) > maxName {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_') {
				return false
			}
		}
	}
	return true
}

// ValidURL reports whether s is a web address, all visible ASCII.
func ValidURL(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && len(s) <= maxURL && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
