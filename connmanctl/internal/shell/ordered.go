package shell

import (
	"bufio"
	"io"
)

// ordered writes errors behind the output that came before them.
type ordered struct {
	out *bufio.Writer
	err io.Writer
}

func (o ordered) Write(p []byte) (int, error) {
	o.out.Flush()
	return o.err.Write(p)
}
