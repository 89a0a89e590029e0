package settings

import (
	"fmt"
	"strings"
)

// Passphrases are escaped as in C before the key file escapes them once more:
// so does GLib's g_strescape, which the C implementation uses.

const named = "\b\f\n\r\t\v\\\""

const names = `bfnrtv\"`

func escapeC(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch at := strings.IndexByte(named, c); {
		case at >= 0:
			b.WriteString(`\` + names[at:at+1])
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescapeC(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			break
		}
		if at := strings.IndexByte(names, s[i]); at >= 0 {
			b.WriteByte(named[at])
			continue
		}
		value, digits := 0, 0
		for digits < 3 && i+digits < len(s) && s[i+digits] >= '0' && s[i+digits] <= '7' {
			value = value<<3 | int(s[i+digits]-'0')
			digits++
		}
		if digits == 0 {
			b.WriteByte(s[i]) // an unknown escape is the character itself
			continue
		}
		b.WriteByte(byte(value))
		i += digits - 1
	}
	return b.String()
}
