package router

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
)

// Page is what the web server says to every request.
type Page struct {
	// Status is the HTTP status, 200 when zero.
	Status int
	// Header is sent as written, without changing the case of its names.
	Header http.Header
	Body   string
}

// Online is the page that the online check hopes for.
var Online = Page{Header: http.Header{"X-ConnMan-Status": {"online"}}}

// Web is the web server on the router's port 80.
type Web struct {
	page     atomic.Pointer[Page]
	requests atomic.Int64
	server   *http.Server
	done     chan error
}

func startWeb(address netip.Addr) (*Web, error) {
	listener, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 80)))
	if err != nil {
		return nil, err
	}
	w := &Web{done: make(chan error, 1)}
	w.Serve(Online)
	w.server = &http.Server{Handler: http.HandlerFunc(w.answer)}
	go func() { w.done <- w.server.Serve(listener) }()
	return w, nil
}

// Serve changes the page for the requests that follow.
func (w *Web) Serve(page Page) { w.page.Store(&page) }

// Requests is how many requests were answered.
func (w *Web) Requests() int { return int(w.requests.Load()) }

func (w *Web) answer(out http.ResponseWriter, _ *http.Request) {
	page := w.page.Load()
	for name, values := range page.Header {
		out.Header()[name] = values
	}
	if page.Status != 0 {
		out.WriteHeader(page.Status)
	}
	w.requests.Add(1)
	_, _ = io.WriteString(out, page.Body)
}

func (w *Web) close() error {
	err := w.server.Close()
	if served := <-w.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
