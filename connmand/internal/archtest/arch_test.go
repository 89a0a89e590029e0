package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const (
	root     = "../../.."
	maxLines = 600
)

// source is one parsed file.
type source struct {
	folder string // from the root, with slashes
	name   string
	lines  int
	syntax *ast.File
}

func (s source) generated() bool { return ast.IsGenerated(s.syntax) }
func (s source) String() string  { return path.Join(s.folder, s.name) }

// test reports whether s is linked into tests only: by its name, or because its
// package is a test suite or a laboratory.
func (s source) test() bool {
	folder := path.Base(s.folder)
	return strings.HasSuffix(s.name, "_test.go") || strings.HasSuffix(folder, "test") || folder == "lab"
}

func TestSourceKeepsTheRules(t *testing.T) {
	files := load(t)
	if len(files) < 10 {
		t.Fatalf("only %d files found under %s", len(files), root)
	}
	for _, wrong := range check(files) {
		t.Error(wrong)
	}
}

// load parses every Go file of the modules.
func load(t *testing.T) []source {
	t.Helper()
	var files []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(rel), text)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(p string, text []byte) (source, error) {
	syntax, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments|parser.SkipObjectResolution)
	return source{path.Dir(p), path.Base(p), bytes.Count(text, []byte("\n")), syntax}, err
}

// check returns what is wrong with files.
func check(files []source) []string {
	var wrong []string
	documented := make(map[string]bool)
	for _, f := range files {
		documented[f.folder] = documented[f.folder] || f.name == "doc.go" || f.syntax.Name.Name == "main"
		wrong = append(wrong, checkImports(f)...)
		if f.lines > maxLines && !f.generated() {
			wrong = append(wrong, fmt.Sprintf("%s has %d lines: what takes more than %d is more than one thing", f, f.lines, maxLines))
		}
		if f.test() && sleeps(f.syntax) && !maySleep[f.String()] {
			wrong = append(wrong, fmt.Sprintf("%s sleeps outside a synctest bubble: a test waits for an event, with a deadline", f))
		}
	}
	for folder, ok := range documented {
		if !ok {
			wrong = append(wrong, folder+" has no doc.go: a package says what it owns and where it runs")
		}
		if badName(folder) {
			wrong = append(wrong, folder+" is named for no thing: everything ends up in such a folder")
		}
	}
	return wrong
}

func checkImports(f source) []string {
	var wrong []string
	for _, spec := range f.syntax.Imports {
		what, err := strconv.Unquote(spec.Path.Value)
		for _, rule := range importRules {
			if err == nil && (rule.tests || !f.test()) && rule.bad(f.folder, what) {
				wrong = append(wrong, fmt.Sprintf("%s imports %s: %s", f, what, rule.why))
			}
		}
	}
	return wrong
}

// sleeps reports whether f calls time.Sleep to wait for something. It may do so
// in a bubble, which is a call of synctest.Test or a function that calls
// synctest.Wait, and between two looks of a loop that has a deadline.
func sleeps(f *ast.File) bool {
	found := false
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if calls(n, "synctest", "Wait") {
				return false
			}
		case *ast.ForStmt:
			if calls(n, "time", "Now") || calls(n, "time", "Since") || calls(n, "ctx", "Err") {
				return false
			}
		case *ast.CallExpr:
			if names(n.Fun, "synctest", "Test") {
				return false
			}
			found = found || names(n.Fun, "time", "Sleep")
		}
		return true
	})
	return found
}

func calls(in ast.Node, pkg, function string) bool {
	found := false
	ast.Inspect(in, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		found = found || ok && names(call.Fun, pkg, function)
		return !found
	})
	return found
}

func names(e ast.Expr, pkg, function string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != function {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// Each rule is broken once, by a file that breaks no other.
func TestRulesCatch(t *testing.T) {
	tests := []struct{ file, text, want string }{
		{"connmand/internal/core/a.go", `import "os"`, "without I/O"},
		{"connmand/internal/core/a.go", `import "net.connman/pkg/store"`, "without I/O"},
		{"connmand/internal/link/a.go", `import "github.com/vishvananda/netlink/nl"`, "only door to rtnetlink"},
		{"pkg/loop/a.go", `import "net.connman/connmand/internal/core"`, "knows none of them"},
		{"connmanctl/internal/view/a.go", `import "net.connman/connmand/internal/core"`, "joined by D-Bus"},
		{"connmand/internal/tech/wifi/a.go", `import "net.connman/connmand/internal/tech/ethernet"`, "bearers"},
		{"connmand/internal/dhcp4/a.go", `import "net.connman/pkg/bus"`, "the bus is busapi's"},
		{"connmand/internal/provision/a.go", `import "net.connman/connmand/internal/busapi"`, "arrows"},
		{"connmand/internal/wpad/a.go", `import "net/http"`, "HTTP"},
		{"connmand/internal/access/a.go", `import "os/exec"`, "proc"},
		{"connmand/internal/busapi/a.go", `import "sync"`, "nothing to lock"},
		{"vpnd/internal/core/a.go", `import "os"`, "without I/O"},
		{"vpnd/internal/busapi/a.go", `import "sync"`, "nothing to lock"},
		{"vpnd/internal/settings/a.go", `import "net.connman/vpnd/internal/busapi"`, "arrows"},
		{"vpnd/internal/provider/vpnc/a.go", `import "net.connman/vpnd/internal/provider/openvpn"`, "providers"},
		{"vpnd/internal/provider/vpnc/a.go", `import "os/exec"`, "proc"},
		{"pkg/loop/a.go", strings.Repeat("\n", maxLines+1), "more than one thing"},
		{"pkg/loop/a_test.go", `import "time"` + "\nfunc f() { time.Sleep(1) }", "synctest"},
		{"pkg/util/a.go", "", "named for no thing"},
		{"pkg/new/a.go", "", "no doc.go"},

		{"connmand/internal/tech/wifi/a.go", `import "net.connman/connmand/internal/tech/wifi/iwd"`, ""},
		{"connmand/internal/core/a.go", `import "net.connman/pkg/loop"`, ""},
		{"vpnd/internal/provider/vpnc/a.go", `import "net.connman/vpnd/internal/provider/vpncscript"`, ""},
		{"connmand/internal/core/a_test.go", `import "os"`, ""},
		{"pkg/bus/bustest/a.go", `import "os/exec"`, ""},
		{"pkg/loop/a_test.go", "func f() { synctest.Test(t, func() { time.Sleep(1) }) }", ""},
		{"pkg/loop/a_test.go", "func f() { time.Sleep(1); synctest.Wait() }", ""},
		{"pkg/loop/a_test.go", "func f() { for time.Now().Before(end) { time.Sleep(1) } }", ""},
		{"pkg/loop/a_test.go", "func f() { for !done() { time.Sleep(1) } }", "synctest"},
		{"pkg/api/a.go", "// Code generated by dbusgen. DO NOT EDIT.\n\npackage p\n" + strings.Repeat("\n", maxLines+1), ""},
	}
	for _, tt := range tests {
		text := tt.text
		if !strings.Contains(text, "package p") {
			text = "package p\n" + text
		}
		f, err := parse(tt.file, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		files := []source{f}
		if !strings.Contains(tt.want, "doc.go") {
			files = append(files, source{folder: f.folder, name: "doc.go", syntax: f.syntax})
			files[1].syntax = &ast.File{Name: ast.NewIdent("p")}
		}
		wrong := check(files)
		if tt.want == "" && len(wrong) > 0 || tt.want != "" && (len(wrong) != 1 || !strings.Contains(wrong[0], tt.want)) {
			t.Errorf("%s with %.60q: %q, want %q", tt.file, tt.text, wrong, tt.want)
		}
	}
}
