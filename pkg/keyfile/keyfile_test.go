package keyfile

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What GLib 2.74 does with each file: accepts (ok) or refuses it.
func TestSameLinesAsGLib(t *testing.T) {
	tests := []struct {
		text string
		ok   bool
	}{
		{"[a]\nk=v\n", true},
		{"[a]\nk=v", true},
		{"", true},
		{"\n", true},
		{"# c\n[a]\n#d\n", true},
		{"k=v\n", false},
		{"[a]\nbad\n", false},
		{"[a]\n=v\n", false},
		{"[a]\n k = v  \n", true},
		{"[a] \t\nk=v\n", true},
		{"[a]x\nk=v\n", false},
		{" [a]\nk=v\n", true},
		{"[a\nk=v\n", false},
		{"[]\nk=v\n", false},
		{"[a]b]\nk=v\n", false},
		{"[a[b]\nk=v\n", false},
		{"[a]\nk[de]=v\n", true},
		{"[a]\nk[]=v\n", true},
		{"[a]\nk[de_DE@x.UTF-8]=v\n", true},
		{"[a]\nk k=v\n", true},
		{"[a]\nk[=v\n", false},
		{"[a]\nk]=v\n", false},
		{"[a]\r\nk=v\r\n", true},
		{"[a]\n;x\n", false},
		{"[a]\n;x=1\n", true},
		{"[a]\n\vk=v\n", true},
		{"[a]\nk/l.m-n_o=v\n", true},
		{"[ü]\nü=v\n", true},
		{"[a\tb]\nk=v\n", false},
		{"[ a ]\nk=v\n", true},
		{"[a]\nk=\xff\n", true},
		{"\xef\xbb\xbf[a]\nk=v\n", false},
	}
	for _, tt := range tests {
		f, problems := Parse([]byte(tt.text), Semicolon)
		if ok := len(problems) == 0; ok != tt.ok {
			t.Errorf("%q: accepted %t, GLib %t (%v)", tt.text, ok, tt.ok, problems)
		}
		if got := string(f.Bytes()); got != tt.text {
			t.Errorf("%q was written as %q", tt.text, got)
		}
	}
}

func one(raw string, separator byte) *File {
	f, _ := Parse([]byte("[g]\nk="+raw+"\n"), separator)
	return f
}

func TestStringsAsGLibReadsThem(t *testing.T) {
	tests := []struct {
		raw, want string
		wrong     bool
	}{
		{`abc`, "abc", false},
		{`a\sb`, "a b", false},
		{`a\tb\n\r\\`, "a\tb\n\r\\", false},
		{`  lead`, "lead", false},
		{`trail  `, "trail  ", false},
		{`\s`, " ", false},
		{`a;b`, "a;b", false},
		{`ab#cd`, "ab#cd", false},
		{`%(x)s`, "%(x)s", false},
		{"`x`", "`x`", false},
		{`a\xb`, `a\xb`, true},
		{`a\`, "a", true},
		{`a\;b`, `a\;b`, true},
		{"a\xffb", "", true},
	}
	for _, tt := range tests {
		got, err := one(tt.raw, Semicolon).String("g", "k")
		if got != tt.want || (err != nil) != tt.wrong {
			t.Errorf("%q is %q, %v; want %q, wrong %t", tt.raw, got, err, tt.want, tt.wrong)
		}
	}
}

func TestListsAsGLibReadsThem(t *testing.T) {
	tests := []struct {
		raw       string
		separator byte
		want      []string
		wrong     bool
	}{
		{"a;b;", ';', []string{"a", "b"}, false},
		{"a;b", ';', []string{"a", "b"}, false},
		{";", ';', []string{""}, false},
		{"", ';', nil, false},
		{"a;;b;", ';', []string{"a", "", "b"}, false},
		{" a ; b ;", ';', []string{"a ", " b "}, false},
		{`a\;b;c`, ';', []string{"a;b", "c"}, false},
		{`a\\;b`, ';', []string{`a\`, "b"}, false},
		{`a\sb;`, ';', []string{"a b"}, false},
		{`a\;`, ';', []string{"a;"}, false},
		{"a;b ", ';', []string{"a", "b "}, false},
		{"a; ", ';', []string{"a", " "}, false},
		{"a,b", ',', []string{"a", "b"}, false},
		{"a,b", ';', []string{"a,b"}, false},
		{`a;\`, ';', nil, true},
		{`a\;b`, ',', nil, true},
	}
	for _, tt := range tests {
		got, err := one(tt.raw, tt.separator).List("g", "k")
		if !slices.Equal(got, tt.want) || (err != nil) != tt.wrong {
			t.Errorf("%q by %c is %q, %v; want %q, wrong %t", tt.raw, tt.separator, got, err, tt.want, tt.wrong)
		}
	}
}

func TestNumbersAndBooleans(t *testing.T) {
	for raw, want := range map[string]int{"1": 1, "-1": -1, "+1": 1, "1 ": 1, "010": 10, "2147483647": 1<<31 - 1, "-2147483648": -1 << 31} {
		if got, err := one(raw, ';').Int("g", "k"); got != want || err != nil {
			t.Errorf("Int %q: %d, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "1x", "0x10", "2147483648", "-2147483649", "99999999999999999999", "1.0", "1_0"} {
		if _, err := one(raw, ';').Int("g", "k"); err == nil {
			t.Errorf("Int %q was taken", raw)
		}
	}
	for raw, want := range map[string]float64{"1": 1, "1.5": 1.5, "-1.5": -1.5, "1e3": 1000, ".5": .5, "5.": 5} {
		if got, err := one(raw, ';').Float("g", "k"); got != want || err != nil {
			t.Errorf("Float %q: %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "1,5", "inf", "nan", "1.5x", "1e999"} {
		if _, err := one(raw, ';').Float("g", "k"); err == nil {
			t.Errorf("Float %q was taken", raw)
		}
	}
	for raw, want := range map[string]bool{"true": true, "1": true, " true ": true, "false": false, "0": false} {
		if got, err := one(raw, ';').Bool("g", "k"); got != want || err != nil {
			t.Errorf("Bool %q: %t, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "TRUE", "True", "yes", "on", "2"} {
		if _, err := one(raw, ';').Bool("g", "k"); err == nil {
			t.Errorf("Bool %q was taken", raw)
		}
	}
}

func TestMissingIsNotFound(t *testing.T) {
	f := New(Semicolon)
	_, errString := f.String("g", "k")
	_, errList := f.List("g", "k")
	_, errBool := f.Bool("g", "k")
	_, errInt := f.Int("g", "k")
	_, errFloat := f.Float("g", "k")
	for _, err := range []error{errString, errList, errBool, errInt, errFloat} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("got %v, want ErrNotFound", err)
		}
	}
}

func TestWrittenAsGLibWrites(t *testing.T) {
	for value, want := range map[string]string{
		"abc": "abc", " lead": `\slead`, "  lead": `\s\slead`, "trail ": "trail ", "a\nb": `a\nb`,
		"a\tb": "a\tb", "\ttab": `\ttab`, `a\b`: `a\\b`, "a;b": "a;b", "": "", "café": "café", "\r": `\r`,
		" ": `\s`, "a  b": "a  b", "\n\nx": `\n\nx`, "\t a": `\t\sa`, "x\v": "x\v",
	} {
		f := New(Semicolon)
		f.SetString("g", "k", value)
		if got := string(f.Bytes()); got != "[g]\nk="+want+"\n" {
			t.Errorf("%q was written as %q", value, got)
		}
	}
	lists := []struct {
		values    []string
		separator byte
		want      string
	}{
		{[]string{"a", "b"}, ';', "a;b;"},
		{[]string{"a", "b"}, ',', "a,b,"},
		{[]string{"a;b", "c"}, ';', `a\;b;c;`},
		{[]string{"a;b", "c"}, ',', "a;b,c,"},
		{[]string{" a", "b "}, ';', `\sa;b ;`},
		{[]string{`a\b`}, ';', `a\\b;`},
		{nil, ';', ""},
		{[]string{""}, ';', ";"},
		{[]string{"", ""}, ';', ";;"},
		{[]string{"\ta\n"}, ',', `\ta\n,`},
	}
	for _, tt := range lists {
		f := New(tt.separator)
		f.SetList("g", "k", tt.values)
		if got := string(f.Bytes()); got != "[g]\nk="+tt.want+"\n" {
			t.Errorf("%q was written as %q", tt.values, got)
		}
	}
}

func TestEditInPlace(t *testing.T) {
	const text = "# top\n\n[a]\n  k =  old\r\n# tail\n\n[b]\nx=1\nx=2\n[a]\nl=3"
	tests := []struct {
		name string
		edit func(*File)
		want string
	}{
		{"nothing", func(*File) {}, text},
		{"same value", func(f *File) { f.SetValue("a", "k", "old") }, text},
		{"value", func(f *File) { f.SetValue("a", "k", "new") }, strings.Replace(text, "old", "new", 1)},
		{"last of two counts", func(f *File) { f.SetInt("b", "x", 7) }, strings.Replace(text, "x=2", "x=7", 1)},
		{"new key", func(f *File) { f.SetBool("b", "y", true) }, strings.Replace(text, "x=2\n", "x=2\ny=true\n", 1)},
		{"new key at the end", func(f *File) { f.SetInt("a", "m", 1) }, text + "\nm=1\n"},
		{"new group", func(f *File) { f.SetInt("c", "m", 1) }, text + "\n\n[c]\nm=1\n"},
		{"remove", func(f *File) { f.Remove("b", "x") }, strings.Replace(text, "x=1\nx=2\n", "", 1)},
		{"remove what is not there", func(f *File) { f.Remove("z", "x") }, text},
	}
	for _, tt := range tests {
		f, problems := Parse([]byte(text), Semicolon)
		if problems != nil {
			t.Fatal(problems)
		}
		tt.edit(f)
		if got := string(f.Bytes()); got != tt.want {
			t.Errorf("%s:\n%q, want\n%q", tt.name, got, tt.want)
		}
	}
}

func TestOrder(t *testing.T) {
	f, _ := Parse([]byte("[g]\nc=1\nother=1\n"), Semicolon)
	f.Order([]string{"a", "b", "c", "d"})
	for _, key := range []string{"d", "b", "a", "z"} {
		f.SetInt("g", key, 2)
		f.SetInt("new", key, 3)
	}
	want := "[g]\na=2\nb=2\nc=1\nd=2\nother=1\nz=2\n\n[new]\na=3\nb=3\nd=3\nz=3\n"
	if got := string(f.Bytes()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestGroupsKeysAndLines(t *testing.T) {
	f, _ := Parse([]byte("[a]\nk=1\n[b]\n[a]\nl=2\nk=3\n"), Semicolon)
	if got := f.Groups(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("groups %q", got)
	}
	if got := f.Keys("a"); !slices.Equal(got, []string{"k", "l"}) {
		t.Errorf("keys %q", got)
	}
	if v, _ := f.Value("a", "k"); v != "3" {
		t.Errorf("k is %q, the last of two must count", v)
	}
	if !f.HasGroup("b") || f.HasGroup("c") || !f.Has("a", "l") || f.Has("b", "l") {
		t.Error("HasGroup or Has is wrong")
	}
	if f.Line("a", "k") != 6 || f.Line("b", "") != 3 || f.Line("c", "x") != 0 {
		t.Errorf("lines %d %d %d", f.Line("a", "k"), f.Line("b", ""), f.Line("c", "x"))
	}
}

func TestProblemsNameTheirLine(t *testing.T) {
	f, problems := Parse([]byte("x=1\n[a]\nbad\nk=1\n[b\nlost=1\n"), Semicolon)
	var got []int
	for _, p := range problems {
		got = append(got, p.Line)
	}
	if want := []int{1, 3, 5, 6}; !slices.Equal(got, want) {
		t.Fatalf("problems in lines %v, want %v (%v)", got, want, problems)
	}
	if v, _ := f.Value("a", "k"); v != "1" {
		t.Error("a good line beside a bad one was lost")
	}
	if f.Has("a", "lost") {
		t.Error("a key behind a broken group ended up in the group above")
	}
	p := Problem{File: "main.conf", Line: 3, Group: "a", Key: "k", Text: "is wrong"}
	if got := p.Error(); got != "main.conf: line 3: [a] k: is wrong" {
		t.Error(got)
	}
}

func TestWhatIsSetIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		separator := rapid.SampledFrom([]byte{Semicolon, Comma}).Draw(t, "separator")
		text := rapid.String().Filter(noNUL).Draw(t, "text")
		list := rapid.SliceOf(rapid.String().Filter(noNUL)).Draw(t, "list")
		f := New(separator)
		f.SetString("g", "text", text)
		f.SetList("g", "list", list)
		f, problems := Parse(f.Bytes(), separator)
		gotText, errText := f.String("g", "text")
		gotList, errList := f.List("g", "list")
		if problems != nil || errText != nil || errList != nil || gotText != text || !slices.Equal(gotList, list) {
			t.Fatalf("%q %q came back as %q %q (%v %v %v)", text, list, gotText, gotList, problems, errText, errList)
		}
	})
}

func noNUL(s string) bool {
	// Form feed leads a value as white space, which GLib drops unescaped.
	return !strings.Contains(s, "\x00") && !strings.Contains(s, "\f")
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "[a]\nk=v\n", "k=v", "[a\n[b]\r\n k = \\s;\\;x\r\n#\n[b]\nk[de]=\xff", "[]\n=\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, _ := Parse(data, Comma)
		if string(file.Bytes()) != string(data) {
			t.Fatalf("%q was written as %q", data, file.Bytes())
		}
		for _, group := range file.Groups() {
			for _, key := range file.Keys(group) {
				_, _ = file.String(group, key)
				_, _ = file.List(group, key)
				file.SetValue(group, key, "v")
			}
			file.SetValue(group, "added", "w")
		}
		again, _ := Parse(file.Bytes(), Comma)
		for _, group := range again.Groups() {
			for _, key := range again.Keys(group) {
				if v, _ := again.Value(group, key); key != "added" && v != "v" {
					t.Fatalf("[%s] %s is %q after it was set", group, key, v)
				}
			}
			if !again.Has(group, "added") {
				t.Fatalf("[%s] lost the key added to it", group)
			}
		}
	})
}
