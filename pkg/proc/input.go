package proc

import (
	"os"
	"sync"

	"net.connman/pkg/logx"
)

// input is what a child is to read, until it does. A nil one takes nothing.
type input struct {
	mu     sync.Mutex // guards what follows
	text   []byte
	closed bool
	more   chan struct{}
}

func newInput() *input { return &input{more: make(chan struct{}, 1)} }

func (i *input) send(text logx.Secret) {
	i.change(func() { i.text = append(i.text, text.Reveal()...) })
}

func (i *input) close() { i.change(func() { i.closed = true }) }

func (i *input) change(fn func()) {
	if i == nil {
		return
	}
	i.mu.Lock()
	fn()
	i.mu.Unlock()
	select {
	case i.more <- struct{}{}:
	default:
	}
}

// feed writes to the child, in a goroutine of its own, until close. A child that
// does not read ends, and with it the pipe.
func (i *input) feed(pipe *os.File) {
	defer pipe.Close()
	for range i.more {
		i.mu.Lock()
		text, closed := i.text, i.closed
		i.text = nil
		i.mu.Unlock()
		_, err := pipe.Write(text)
		clear(text)
		if err != nil || closed {
			return
		}
	}
}
