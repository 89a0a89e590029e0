package provision

import (
	"context"
	"log/slog"

	"net.connman/pkg/configdir"
	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/core"
)

// DefaultDir is where the files are.
const DefaultDir = "/var/lib/connman-vpn"

// Directory is where provisioning files are.
type Directory struct {
	loop   *loop.Loop
	dir    string
	files  *configdir.Dir[core.Spec]
	parser parser
	owner  Owner
}

// Owner says which user the programs for a type of VPN run as. It is called outside
// the loop.
type Owner func(typ string) (uid uint32, err error)

// New returns the directory dir, which need not exist, for the connections that
// providers make. What is added for their programs to read becomes owner's.
func New(l *loop.Loop, log *slog.Logger, dir string, providers []core.Provider, owner Owner) *Directory {
	p := parser{providers}
	return &Directory{loop: l, dir: dir, files: configdir.New(l, log, dir, p.parse, p.parseTOML), parser: p, owner: owner}
}

// Watch reports the connections that the files specify, at once and whenever
// they change, by calling report on the loop with all of them. What is wrong
// with a file is logged once. After stop, which is for the loop, report is not
// called any more.
func (d *Directory) Watch(report func([]core.Spec)) (stop func()) { return d.files.Follow(report) }

// Add writes a new file, if nothing is wrong with it, and calls done on the loop
// with what all files specify now.
func (d *Directory) Add(file File, done func([]core.Spec, error)) {
	loop.Go(d.loop, "add provisioning file", func(ctx context.Context) ([]core.Spec, error) {
		return d.files.Change(ctx, func() error { return d.write(file) })
	}, done)
}
