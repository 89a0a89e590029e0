package bus

// Call is a method call that waits for its answer. It is answered exactly once,
// with Reply or Error, at once or in a later turn. When the caller has left the
// bus or asked for no reply, the answer goes nowhere; that is no error.
type Call struct {
	Sender    string // unique name of the caller
	Path      ObjectPath
	Interface string
	Member    string

	conn     *Conn
	method   *Method
	server   any
	serial   uint32
	flags    byte
	answered bool
}

// Server returns the Server of the interface that was called.
func (c *Call) Server() any { return c.server }

// Interactive says whether the caller lets us ask the user for authorization.
func (c *Call) Interactive() bool { return c.flags&flagInteractive != 0 }

// Reply answers the call with values of the method's Out types. The answer is
// sent at the end of the turn, behind the signals of the turn.
func (c *Call) Reply(values ...any) {
	if want, got := signatureOf(c.method.Out), SignatureOf(values...); got != want {
		c.conn.log.Error("reply has the wrong type", "method", c.Interface+"."+c.Member, "want", want, "got", got)
		c.Error(Failed("wrong reply type"))
		return
	}
	c.answer(&message{kind: kindReply}, values...)
}

// Error answers the call with err: an [*Error] as it is, any other error as
// net.connman.Error.Failed with its text.
func (c *Call) Error(err error) {
	e := asError(err)
	c.answer(&message{kind: kindError, errorName: e.Name}, e.Text)
}

func (c *Call) answer(m *message, values ...any) {
	if c.answered {
		c.conn.log.Error("call answered twice", "method", c.Interface+"."+c.Member, "path", c.Path)
		return
	}
	c.answered = true
	if c.flags&flagNoReply == 0 {
		m.destination, m.replySerial = c.Sender, c.serial
		c.conn.queueReply(m, values...)
	}
}

func (c *Conn) queueReply(m *message, values ...any) {
	if c.gone != nil {
		return
	}
	m.flags = flagNoReply
	m.serial = c.nextSerial()
	c.replies = appendMessage(c.replies, m, values...)
}

func (c *Conn) queueSignal(m *message, values ...any) {
	if c.gone != nil {
		return
	}
	m.serial = c.nextSerial()
	c.signals = appendMessage(c.signals, m, values...)
}
