package command

import (
	"slices"
	"strings"
	"testing"
)

func TestComplete(t *testing.T) {
	names := &Names{
		Technologies: []string{"wifi", "ethernet"},
		Services:     []string{"wifi_2", "wifi_1", "ethernet_1"},
		Peers:        []string{"peer_1"},
		Connections:  []string{"office"},
	}
	tests := []struct{ typed, want string }{
		{"st", "state"},
		{"te", "technologies tether tethering_clients"},
		{"zz", ""},
		{"state ", ""},
		{"scan ", "ethernet wifi"},
		{"enable o", "offline"},
		{"tether wifi ", "off on"},
		{"connect w", "wifi_1 wifi_2"},
		{"connect p", "peer_1"},
		{"connect wifi_1 ", ""},
		{"move-before wifi_1 e", "ethernet_1"},
		{"config wifi_1 ipv", "ipv4 ipv6"},
		{"monitor v", "vpnconnection vpnmanager"},
		{"monitor tech o", "off on"},
		{"vpnconnections ", "office"},
		{"agent ", "off on"},
		{"vpnagent o", "off on"},
		{"services -", "--json"},
		{"services wifi_1 --j", "--json"},
		{"connect -", ""},
		{"bogus ", ""},
		{"stat state", ""},
	}
	for _, tt := range tests {
		got := Complete(names, strings.Split(tt.typed, " "))
		if want := strings.Fields(tt.want); !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%q completes to %q, want %q", tt.typed, got, want)
		}
	}
}

func TestSecret(t *testing.T) {
	tests := map[string]bool{
		"tether wifi on name passphrase": true,
		"tether wifi name passphrase":    true,
		"tether wifi on":                 false,
		"services wifi_1":                false,
	}
	for line, want := range tests {
		if got := Secret(strings.Fields(line)); got != want {
			t.Errorf("Secret(%q) = %v", line, got)
		}
	}
}
