package logx

import (
	"fmt"
	"log/slog"
)

// Secret is a passphrase or the like. However it is printed, logged or encoded
// it shows as ****, also inside structures; only Reveal tells what it is.
type Secret string

const hidden = "****"

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret.
func (s Secret) String() string { return hidden }

// GoString hides the secret.
func (s Secret) GoString() string { return hidden }

// Format hides the secret from every verb.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, hidden) }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from JSON, TOML and other encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
