package vm

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kernelPackage is the directory of the kernel among the peers.
const kernelPackage = "linux-image-amd64"

// bootModules are what the guest needs to reach its root and to speak.
var bootModules = []string{"virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"}

func busybox(peers string) string { return filepath.Join(peers, "busybox-static/bin/busybox") }

// initramfs is the file system that the guest starts from.
func initramfs(peers string) ([]byte, error) {
	shell, err := os.ReadFile(busybox(peers))
	if err != nil {
		return nil, err
	}
	var a archive
	for _, dir := range []string{"bin", "dev", "proc", "sys", "modules", "lower", "layer", "root"} {
		a.directory(dir)
	}
	a.file("bin/busybox", shell)
	a.file("init", initScript)
	modules, err := modulesFor(filepath.Join(peers, kernelPackage), bootModules)
	if err != nil {
		return nil, err
	}
	var order bytes.Buffer
	for _, path := range modules {
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		a.file("modules/"+filepath.Base(path), content)
		fmt.Fprintln(&order, filepath.Base(path))
	}
	a.file("modules/order", order.Bytes())
	return a.end(), nil
}

// modulesFor returns the files of the modules called names, each after those it
// depends on.
func modulesFor(kernel string, names []string) ([]string, error) {
	indexes, err := filepath.Glob(filepath.Join(kernel, "lib/modules/*/modules.dep"))
	if err != nil || len(indexes) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%d indexes of modules below %s, want one", len(indexes), kernel))
	}
	index, err := os.ReadFile(indexes[0])
	if err != nil {
		return nil, err
	}
	needs := map[string][]string{} // by path
	paths := map[string]string{}   // by name
	for line := range strings.Lines(string(index)) {
		path, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		needs[path] = strings.Fields(rest)
		name := strings.TrimSuffix(filepath.Base(path), ".ko")
		paths[strings.ReplaceAll(name, "-", "_")] = path
	}
	var files []string
	var add func(path string)
	add = func(path string) {
		for _, other := range needs[path] {
			add(other)
		}
		if file := filepath.Join(filepath.Dir(indexes[0]), path); !slices.Contains(files, file) {
			files = append(files, file)
		}
	}
	for _, name := range names {
		path, ok := paths[name]
		if !ok {
			return nil, fmt.Errorf("the kernel has no module %s", name)
		}
		add(path)
	}
	return files, nil
}

// archive is a cpio archive in the format newc, see cpio(5).
type archive struct {
	b     bytes.Buffer
	inode int
}

const (
	directoryMode = 0o040755
	fileMode      = 0o100755
)

func (a *archive) directory(name string) { a.entry(name, directoryMode, nil) }

func (a *archive) file(name string, content []byte) { a.entry(name, fileMode, content) }

func (a *archive) entry(name string, mode int, content []byte) {
	a.inode++
	links, owner, device := 1, 0, 0
	fmt.Fprintf(&a.b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", a.inode, mode, owner, owner, links,
		0, len(content), device, device, device, device, len(name)+1, 0)
	a.b.WriteString(name)
	a.b.WriteByte(0)
	a.pad()
	a.b.Write(content)
	a.pad()
}

// pad fills up to a multiple of four bytes.
func (a *archive) pad() {
	for a.b.Len()%4 != 0 {
		a.b.WriteByte(0)
	}
}

func (a *archive) end() []byte {
	a.entry("TRAILER!!!", 0, nil)
	return a.b.Bytes()
}
