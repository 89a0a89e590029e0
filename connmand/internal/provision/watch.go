package provision

import (
	"log/slog"

	"net.connman/connmand/internal/core"
	"net.connman/pkg/configdir"
	"net.connman/pkg/loop"
)

// Watch reports the services that the files in dir specify, at once and
// whenever they change, by calling report on the loop with all of them. What is
// wrong with a file is logged once. After stop, which is for the loop, report is not
// called any more.
func Watch(l *loop.Loop, log *slog.Logger, dir string, report func([]core.ServiceSpec)) (stop func()) {
	return configdir.New(l, log, dir, Parse, ParseTOML).Follow(report)
}
