package store

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Retry is how long a Writer waits before it tries a failed change again.
const Retry = time.Minute

// Edit makes a file's new content from its old one, which is nil when there is
// no file. It runs in the Writer's goroutine, or in that of a Read; it may run
// more than once, and leaves what it made itself as it is.
type Edit func(old []byte) []byte

// Writer changes files in the background. Its methods may be called from any
// goroutine; only Read, Flush and Close wait for the disk.
type Writer struct {
	log   *slog.Logger
	delay time.Duration

	wake  chan struct{}
	ended chan struct{}
	disk  sync.Mutex // held while changes are made, in order

	mu      sync.Mutex // guards what follows
	order   []string   // paths with a change to make
	changes map[string]*change
	failed  map[string]string // path to the error logged for it
	closed  bool
}

// change is a file's next content, or with a nil edit its removal.
type change struct{ edit Edit }

// NewWriter starts a writer that gathers changes for delay before it makes
// them. End it with Close.
func NewWriter(log *slog.Logger, delay time.Duration) *Writer {
	w := &Writer{
		log:     log,
		delay:   delay,
		wake:    make(chan struct{}, 1),
		ended:   make(chan struct{}),
		changes: make(map[string]*change),
		failed:  make(map[string]string),
	}
	go w.run()
	return w
}

// Write replaces a file's content with data, soon. Of several calls before
// that the last one wins.
func (w *Writer) Write(path string, data []byte) {
	w.Update(path, func([]byte) []byte { return data })
}

// Update changes a file's content, soon. Of several calls before that the last
// one wins, so an edit must not build on one before it.
func (w *Writer) Update(path string, edit Edit) { w.queue(path, &change{edit}) }

// Remove takes a file away, soon, or a directory if it is empty by then.
func (w *Writer) Remove(path string) { w.queue(path, &change{}) }

func (w *Writer) queue(path string, c *change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.log.Error("too late to change a file", "path", path)
		return
	}
	// A removal goes behind the changes before it: a directory's comes last.
	if old := w.changes[path]; old == nil || c.edit == nil {
		w.forget(path)
		w.order = append(w.order, path)
	}
	w.changes[path] = c
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *Writer) forget(path string) {
	delete(w.changes, path)
	for i, p := range w.order {
		if p == path {
			w.order = append(w.order[:i], w.order[i+1:]...)
			return
		}
	}
}

// Read returns what the file holds once all changes so far are made. It does not
// wait for them: where hundreds of files are being written that takes a slow disk
// a minute.
func (w *Writer) Read(path string) ([]byte, error) {
	w.mu.Lock()
	c := w.changes[path]
	w.mu.Unlock()
	if c != nil && c.edit == nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	data, err := os.ReadFile(path)
	if c == nil || (err != nil && !errors.Is(err, fs.ErrNotExist)) {
		return data, err
	}
	return c.edit(data), nil
}

// Flush makes all changes now.
func (w *Writer) Flush() {
	w.disk.Lock()
	defer w.disk.Unlock()
	for _, path := range w.pending() {
		w.mu.Lock()
		c := w.changes[path]
		w.mu.Unlock()
		if c != nil {
			w.finish(path, c, c.apply(path))
		}
	}
}

func (w *Writer) pending() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.order...)
}

func (c *change) apply(path string) error {
	if c.edit == nil {
		return Remove(path)
	}
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data := c.edit(old)
	if err == nil && bytes.Equal(old, data) {
		return nil
	}
	return WriteFile(path, data)
}

// finish notes how a change went: a failed one stays and is tried again.
func (w *Writer) finish(path string, c *change, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		if w.changes[path] == c {
			w.forget(path)
		}
		if _, again := w.failed[path]; again {
			w.log.Info("file written at last", "path", path)
			delete(w.failed, path)
		}
		return
	}
	if text := err.Error(); w.failed[path] != text {
		w.log.Error("state not saved, trying again", "err", err)
		w.failed[path] = text
	}
}

// Close makes the changes still to be made and ends the Writer.
func (w *Writer) Close() {
	w.mu.Lock()
	already := w.closed
	w.closed = true
	w.mu.Unlock()
	if !already {
		close(w.wake)
	}
	<-w.ended
}

func (w *Writer) run() {
	defer close(w.ended)
	timer := time.NewTimer(w.delay)
	timer.Stop()
	defer timer.Stop()
	armed := false
	for {
		select {
		case _, open := <-w.wake:
			if !open {
				w.Flush()
				return
			}
			if !armed {
				timer.Reset(w.delay)
				armed = true
			}
		case <-timer.C:
			armed = false
			w.Flush()
			// New work arms the short delay again even while this one runs.
			if len(w.pending()) > 0 {
				timer.Reset(Retry)
			}
		}
	}
}
