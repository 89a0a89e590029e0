//go:build netns

package wired

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/godbus/dbus/v5"
	"net.connman/integration/lab"
)

// errorTexts are the texts of the errors below net.connman.Error.
var errorTexts = map[string]string{
	"AlreadyExists":    "Already exists",
	"InvalidArguments": "Invalid arguments",
	"InvalidProperty":  "Invalid property",
	"InvalidService":   "Invalid service",
	"NotFound":         "Not found",
	"NotRegistered":    "Not registered",
	"NotSupported":     "Not supported",
	"PermissionDenied": "Permission denied",
}

// fullAnswer is what a call should be answered with, name and text. short is
// an error of net.connman, or of D-Bus for calls of what isn't there.
func (c request) fullAnswer(short string) string {
	switch short {
	case "":
		return ""
	case "UnknownMethod", "UnknownObject":
		i := strings.LastIndex(c.method, ".")
		return fmt.Sprintf("org.freedesktop.DBus.Error.%s: Method \"%s\" with signature \"%s\" on interface \"net.connman.%s\" doesn't exist\n",
			short, c.method[i+1:], dbus.SignatureOf(c.args...), c.method[:i])
	}
	return "net.connman.Error." + short + ": " + errorTexts[short]
}

// answered is an error's name and text.
func answered(err error) string {
	if e, ok := err.(dbus.Error); ok && len(e.Body) == 1 {
		return fmt.Sprintf("%s: %v", e.Name, e.Body[0])
	}
	return answerOf(err)
}

// replay puts every request to a daemon. What comes of a property that a
// request sets is the value that it had afterwards.
func replay(t *testing.T, m lab.Manager) (answers, values []string) {
	t.Helper()
	w := newWorld(t, 1, nil)
	w.run(m)
	w.untilState(0, "online")
	for _, r := range requests {
		answers = append(answers, answered(w.call(r.on, "net.connman."+r.method, r.args...).Err))
		value := ""
		if r.method == "Service.SetProperty" {
			p, err := w.properties(r.on, "Service")
			must(t, err)
			value = text(p[fmt.Sprint(r.args[0])])
		}
		values = append(values, value)
	}
	return answers, values
}

// TestEveryCallIsAnsweredAsTheReferenceDoes puts the same calls to both
// daemons. The table says what both must answer, and where ours differs and
// why.
func TestEveryCallIsAnsweredAsTheReferenceDoes(t *testing.T) {
	t.Parallel()
	theirs, theirValues := replay(t, lab.Reference())
	ours, ourValues := replay(t, lab.Ours())
	for i, r := range requests {
		label := fmt.Sprintf("%s %s%v", r.on, r.method, r.args)
		want := r.fullAnswer(r.answer)
		if theirs[i] != want {
			t.Errorf("%s: the reference answers %q, the table says %q", label, theirs[i], want)
		}
		if r.reason != "" {
			want = r.fullAnswer(r.ours)
		}
		if ours[i] != want {
			t.Errorf("%s: answered %q, want %q", label, ours[i], want)
		}
		if r.reason == "" && ourValues[i] != theirValues[i] {
			t.Errorf("%s: the value is then %s, with the reference %s", label, ourValues[i], theirValues[i])
		}
	}
}

// node is an object as introspection describes it.
type node struct {
	Interfaces []struct {
		Name    string   `xml:"name,attr"`
		Methods []member `xml:"method"`
		Signals []member `xml:"signal"`
	} `xml:"interface"`
	Children []struct {
		Name string `xml:"name,attr"`
	} `xml:"node"`
}

type member struct {
	Name string `xml:"name,attr"`
	Args []struct {
		Name      string `xml:"name,attr"`
		Type      string `xml:"type,attr"`
		Direction string `xml:"direction,attr"`
	} `xml:"arg"`
	Annotations []struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	} `xml:"annotation"`
}

// laterParts are what the reference's objects have and ours get with the
// capabilities that they belong to, and what ours have and the reference's never.
var laterParts = []string{"net.connman.Clock", "sessions", "net.connman.Diagnostics"}

// described is what introspection says of an object, one fact a line.
func (w *world) described(path dbus.ObjectPath) []string {
	w.t.Helper()
	var text string
	must(w.t, w.bus.Object("net.connman", path).Call("org.freedesktop.DBus.Introspectable.Introspect", 0).Store(&text))
	var n node
	must(w.t, xml.Unmarshal([]byte(text), &n))
	var lines []string
	for _, i := range n.Interfaces {
		if slices.Contains(laterParts, i.Name) {
			continue
		}
		for _, m := range i.Methods {
			lines = append(lines, fmt.Sprintf("%s method %v", i.Name, m))
		}
		for _, s := range i.Signals {
			lines = append(lines, fmt.Sprintf("%s signal %v", i.Name, s))
		}
	}
	for _, c := range n.Children {
		if !slices.Contains(laterParts, c.Name) {
			lines = append(lines, "child "+c.Name)
		}
	}
	slices.Sort(lines)
	return lines
}

// managed is what GetManagedObjects lists, one interface a line.
func (w *world) managed() []string {
	w.t.Helper()
	var objects map[dbus.ObjectPath]map[string]dict
	must(w.t, w.bus.Object("net.connman", managerPath).Call("org.freedesktop.DBus.ObjectManager.GetManagedObjects", 0).Store(&objects))
	var lines []string
	for path, interfaces := range objects {
		for name, properties := range interfaces {
			lines = append(lines, fmt.Sprint(path, " ", name, " ", properties))
		}
	}
	slices.Sort(lines)
	return lines
}

func TestObjectsAreDescribedAsTheReferenceDoes(t *testing.T) {
	t.Parallel()
	describe := func(m lab.Manager) map[string][]string {
		w := newWorld(t, 1, nil)
		w.run(m)
		w.untilState(0, "online")
		all := map[string][]string{"managed objects": w.managed()}
		for _, path := range []dbus.ObjectPath{
			"/", "/net", "/net/connman", "/net/connman/technology", "/net/connman/service", ethernetPath, w.servicePath(0),
		} {
			all[string(path)] = w.described(path)
		}
		return all
	}
	theirs, ours := describe(lab.Reference()), describe(lab.Ours())
	for what, want := range theirs {
		if len(want) == 0 {
			t.Errorf("the reference says nothing of %s", what)
		}
		if got := ours[what]; !slices.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestStandardInterfaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, nil)
	w.startOnline()
	object := w.bus.Object("net.connman", managerPath)
	must(t, object.Call("org.freedesktop.DBus.Peer.Ping", 0).Err)
	var id string
	must(t, object.Call("org.freedesktop.DBus.Peer.GetMachineId", 0).Store(&id))
	if len(id) != 32 {
		t.Errorf("the machine's id is %q", id)
	}
	err := w.bus.Object("net.connman", w.servicePath(0)).Call("org.freedesktop.DBus.Properties.GetAll", 0, "net.connman.Service").Err
	want := "org.freedesktop.DBus.Error.UnknownMethod: Method \"GetAll\" with signature \"s\" on interface \"org.freedesktop.DBus.Properties\" doesn't exist\n"
	must(t, expect("answer", answered(err), want))
}

// request is a call, what the reference answers, and what we answer instead
// where there is a reason to.
type request struct {
	on           dbus.ObjectPath
	method       string
	args         []any
	answer       string
	ours, reason string
}
