package core

// Radio is how the switches of a technology's radios stand (rfkill), all taken
// together. The zero value is for radios without.
type Radio struct {
	Switches int  // how many there are
	Soft     bool // blocked by a program
	Hard     bool // blocked by a switch that no program can turn
}

func (r Radio) blocked() bool { return r.Soft || r.Hard }

// Radios turns the switches of radios.
type Radios interface {
	// Block has all radios of a technology blocked by program, or no more; done
	// hears when they are.
	Block(kind Type, block bool, done func(error))
}

// SetRadio tells how the switches of a technology stand. Who blocks its radios
// powers the technology down, and who frees them has it back as it was. A switch
// that is new is turned as the technology is to be, for programs that keep its
// position over a restart do not know that.
func (m *Manager) SetRadio(kind Type, now Radio) {
	was := m.radios[kind]
	if now == was {
		return
	}
	m.radios[kind] = now
	t := m.Technology(kind)
	if now.blocked() != was.blocked() {
		m.log.Info("radios", "technology", kind, "blocked by program", now.Soft, "blocked by switch", now.Hard)
	}
	switch {
	case t == nil:
	case now.Switches > was.Switches && now.Soft && t.powered && t.able():
		t.block(false, func(err error) {
			if err != nil {
				m.log.Warn("radios stay blocked", "err", err)
			}
		})
	case now.Switches > was.Switches:
		t.applyWish()
	default:
		t.applyPower()
	}
}

// radio is how the technology's switches stand.
func (t *Technology) radio() Radio { return t.m.radios[t.kind] }

// block turns the switches that a program can turn.
func (t *Technology) block(on bool, done func(error)) {
	t.m.ports.Radios.Block(t.kind, on, func(err error) {
		if err == nil {
			r := t.radio() // the kernel's own word may come later
			r.Soft = on
			t.m.radios[t.kind] = r
		}
		done(err)
	})
}
