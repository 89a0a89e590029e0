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
	r.dict.Items = append(r.dict.Items, bus.Struct{envSecret, string(secret)})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l := loop.New(slog.New(slog.DiscardHandler))
	// The program waits for its script: the call leaves with the greeting.
	conn, err := bus.Begin(ctx, l, slog.New(slog.DiscardHandler), r.busAddress)
	if err != nil {
		return err
	}
	defer conn.Close()
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	_, err = conn.Wait(ctx, bus.MethodCall{
		Destination: r.busName, Path: r.path, Interface: r.iface, Member: "notify",
		Args: []any{r.reason, r.dict}, Timeout: patience, NoAutoStart: true,
	})
	cancel()
	<-ended
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the daemon does not take the report %q: %w", r.reason, err)
	}
	return nil
}
