package keyfile

import (
	"slices"
	"testing"
)

func TestTOMLSaysTheSame(t *testing.T) {
	conf, problems := Parse([]byte("[General]\nOn=true\nCount=7\nWait=1.5\nList=a,b\\,c,\nName= x\\\\y\nEmpty=\n[service_x]\nIPv6.Privacy=enabled\nmDNS=false\n"), Comma)
	if problems != nil {
		t.Fatal(problems)
	}
	twin, problems := ParseTOML([]byte(`# comment
[General]
On = true
Count = 7
Wait = 1.5
List = ["a",
  "b,c"]
Name = 'x\y'
Empty = []

[service_x]
IPv6.Privacy = "enabled"
mDNS = false
`), Comma)
	if problems != nil {
		t.Fatal(problems)
	}
	if !slices.Equal(conf.Groups(), twin.Groups()) {
		t.Errorf("groups %q", twin.Groups())
	}
	for _, group := range conf.Groups() {
		if !slices.Equal(conf.Keys(group), twin.Keys(group)) {
			t.Errorf("[%s] has keys %q", group, twin.Keys(group))
		}
		for _, key := range conf.Keys(group) {
			a, _ := conf.Value(group, key)
			if b, _ := twin.Value(group, key); a != b {
				t.Errorf("[%s] %s is %q and %q", group, key, a, b)
			}
		}
	}
	for key, want := range map[string]int{"On": 3, "List": 6, "Name": 8, "Empty": 9} {
		if got := twin.Line("General", key); got != want {
			t.Errorf("%s is in line %d, want %d", key, got, want)
		}
	}
	if got := twin.Line("service_x", "IPv6.Privacy"); got != 12 {
		t.Errorf("a key with a dot is in line %d, want 12", got)
	}
}

func TestTOMLProblems(t *testing.T) {
	tests := []struct {
		text string
		want Problem
	}{
		{"[General]\nA = 1\nB = = 2\n", Problem{Line: 3}},
		{"A = 1\n", Problem{Line: 1, Key: "A"}},
		{"[[General]]\nA = 1\n", Problem{Line: 1, Key: "General"}},
		{"[General]\nA = 2020-01-01\n", Problem{Line: 2, Group: "General", Key: "A"}},
		{"[General]\nA = [[1]]\n", Problem{Line: 2, Group: "General", Key: "A"}},
		{"[General]\n\n\"x=y\" = 1\n", Problem{Line: 3, Group: "General"}},
		{"[General]\n[\"a]b\"]\nx = 1\n", Problem{Line: 2}},
	}
	for _, tt := range tests {
		_, problems := ParseTOML([]byte(tt.text), Comma)
		if len(problems) != 1 {
			t.Errorf("%q: problems %v, want one", tt.text, problems)
			continue
		}
		got := problems[0]
		if got.Text == "" {
			t.Errorf("%q: the problem says nothing", tt.text)
		}
		got.Text = ""
		if got != tt.want {
			t.Errorf("%q: problem %+v, want %+v", tt.text, got, tt.want)
		}
	}
}

func FuzzParseTOML(f *testing.F) {
	for _, seed := range []string{"", "[a]\nk=1\n", "a.b.c = [1, 'x']\n", "[a]\nb.c=1\n[[d]]\n", "[a]\nk=\"\\u0000\"", "[a.b.c]\nd=1\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, _ := ParseTOML(data, Comma)
		for _, group := range file.Groups() {
			for _, key := range file.Keys(group) {
				_, _ = file.String(group, key)
				_, _ = file.List(group, key)
			}
		}
		if _, problems := Parse(file.Bytes(), Comma); problems != nil {
			t.Fatalf("%q became a key file with problems: %v", data, problems)
		}
	})
}
