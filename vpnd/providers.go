package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"net.connman/pkg/loop"
	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/config"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/provider/l2tp"
	"net.connman/vpnd/internal/provider/openconnect"
	"net.connman/vpnd/internal/provider/openvpn"
	"net.connman/vpnd/internal/provider/pptp"
	"net.connman/vpnd/internal/provider/vpnc"
	"net.connman/vpnd/internal/provider/wireguard"
	"net.connman/vpnd/internal/task"
	"net.connman/vpnd/internal/tun"
)

// types are the types of VPN, for the files that configure one of them.
var types = []string{"openvpn", "l2tp", "pptp", "vpnc", "openconnect", "wireguard"}

const (
	// taskDir has a directory for each program that runs.
	taskDir = "/run/connman-vpn"
	// notifyProgram is what the programs run as their script.
	notifyProgram = "connman-vpn-notify"
)

// libexecDir has the programs that only others start; set by the build.
var libexecDir = "/usr/libexec/connman"

// providers makes the providers, one for each type. What they need besides the
// loop and the log is made here, too.
func (d *daemon) providers(cfg config.Config) []core.Provider {
	tasks := task.New(d.loop, d.conn, d.log, taskDir, notifyPath())
	d.onClose(tasks.Close)
	programs := func(typ string) child.Config {
		return child.Config{Loop: d.loop, Log: d.log, Tasks: tasks, Identity: cfg.Identity(typ)}
	}
	wg := wireguard.New(d.loop, d.log)
	d.starters = append(d.starters, wg.Start)
	return []core.Provider{
		openvpn.New(d.loop, d.log, tasks, cfg.Identity("openvpn")),
		l2tp.New(programs("l2tp")),
		pptp.New(programs("pptp")),
		vpnc.New(programs("vpnc")),
		openconnect.New(programs("openconnect")),
		wg,
	}
}

// notifyPath is where the script is: where it was installed or, before that,
// beside this program.
func notifyPath() string {
	installed := filepath.Join(libexecDir, notifyProgram)
	if _, err := os.Stat(installed); err == nil {
		return installed
	}
	self, err := os.Executable()
	if err != nil {
		return installed
	}
	return filepath.Join(filepath.Dir(self), notifyProgram)
}

// clean takes away what a run of the daemon has left that did not end in good
// order, and then calls done. Its programs have died with it.
func (d *daemon) clean(done func()) {
	loop.Go(d.loop, "clean up", func(context.Context) (struct{}, error) {
		return struct{}{}, errors.Join(task.Clean(taskDir), tun.Clean())
	}, func(_ struct{}, err error) {
		if err != nil {
			d.log.Warn("something of an earlier run may be left", "err", err)
		}
		done()
	})
}
