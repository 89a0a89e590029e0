package agent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"net.connman/pkg/bus"
)

// described is a field of a request.
func described(name, typ, requirement, value string) bus.Entry {
	d := bus.Dict{{Key: "Type", Value: typ}, {Key: "Requirement", Value: requirement}}
	if value != "" {
		d = append(d, bus.Entry{Key: "Value", Value: value})
	}
	return bus.Entry{Key: name, Value: d}
}

// Fields without a prompt of their own are asked for by name when they must be
// answered, passwords without echo; what only informs is shown and not asked for.
func TestWanted(t *testing.T) {
	challenge := described("OpenVPN.Challenge", "string", "informational", "Number of the token")
	tests := map[string]struct {
		request bus.Dict
		want    []field
	}{
		"challenge": {
			bus.Dict{challenge, described("OpenVPN.Response", "password", "mandatory", "")},
			[]field{{"OpenVPN.Response", "OpenVPN.Response? ", true}},
		},
		"challenge with echo, behind the password": {
			bus.Dict{challenge, described("OpenVPN.Response", "response", "mandatory", ""), described("Password", "password", "mandatory", "")},
			[]field{{"Password", "VPN password? ", true}, {"OpenVPN.Response", "OpenVPN.Response? ", false}},
		},
		"others": {
			bus.Dict{
				described("Secret", "password", "mandatory", ""), described("Plain", "string", "mandatory", ""),
				described("Switch", "boolean", "mandatory", ""), described("May", "string", "optional", ""),
				described("Rule", "boolean", "control", "true"),
			},
			[]field{{"Secret", "Secret? ", true}, {"Plain", "Plain? ", false}},
		},
	}
	for name, test := range tests {
		a := NewVPN(NewDesk(&strings.Builder{}, &typist{}), func() {})
		if diff := cmp.Diff(test.want, a.wanted(test.request), cmp.AllowUnexported(field{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// What the server wants to know is shown before the question, and the answer goes
// back under the question's name.
func TestChallenge(t *testing.T) {
	person := &typist{lines: []string{"4711"}}
	var shown strings.Builder
	a := NewVPN(NewDesk(&shown, person), func() {})
	c := &call{}
	a.put(c, a.input("/c/office", bus.Dict{
		described("OpenVPN.Challenge", "string", "informational", "Number of the token"),
		described("OpenVPN.Response", "password", "mandatory", ""),
	}))
	if !strings.Contains(shown.String(), "Number of the token") {
		t.Errorf("shown: %s", shown.String())
	}
	person.run()
	if diff := cmp.Diff([]bus.Dict{{{Key: "OpenVPN.Response", Value: "4711"}}}, c.answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
}
