package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"net.connman/pkg/bus"
	"net.connman/pkg/loop"
)

// patience is how long the daemon may take for its answer.
const patience = 20 * time.Second

func main() {
	if err := run(os.Environ()); err != nil {
		fmt.Fprintln(os.Stderr, "connman-vpn-notify:", err)
		os.Exit(1)
	}
}

func run(environ []string) error {
	r, err := readReport(environ)
	if err != nil || r.reason == "pre-init" { // vpnc and openconnect: the device may be made now
		return err
	}
	secret, err := os.ReadFile(r.secretFile)
	if err != nil {
		return fmt.Errorf("cannot read the secret: %w", err)
	}
	return r.send(string(secret))
}

// send calls notify and waits for the answer. All is done on this goroutine and in
// one message: the program that runs us waits.
func (r report) send(secret string) error {
	r.dict.Items = append(r.dict.Items, bus.Struct{envSecret, secret})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l := loop.New(slog.New(slog.DiscardHandler))
	conn, err := bus.Begin(ctx, l, slog.New(slog.DiscardHandler), r.busAddress)
	if err != nil {
		return err
	}
	defer conn.Close()
	err = errors.New("the bus is silent")
	end := func(why error) { err = why; l.Quit() }
	conn.OnDisconnect(end)
	conn.Call(bus.MethodCall{
		Destination: r.busName, Path: r.path, Interface: r.iface, Member: "notify",
		Args: []any{r.reason, r.dict}, Timeout: patience, NoAutoStart: true,
	}, func(_ []any, why error) { end(why) })
	l.Run(ctx)
	if err != nil {
		return fmt.Errorf("the daemon does not take the report %q: %w", r.reason, err)
	}
	return nil
}
