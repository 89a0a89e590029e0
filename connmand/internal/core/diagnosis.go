package core

// Rater is a NetworkDriver that knows how fast the connection is.
type Rater interface {
	// Rate tells the rate in Mbit/s at which is sent, 0 when it is not known.
	Rate(done func(mbits int))
}

// Diagnosis is what helps to find out why a service does what it does.
type Diagnosis struct {
	AccessPoint AccessPoint // of a wireless service
	Rate        int         // Mbit/s; 0: not known, or not connected
	Why         string      // as Service.Why says
}

// Diagnose tells what is known of all services, once their drivers have answered.
func (m *Manager) Diagnose(done func(map[*Service]Diagnosis)) {
	all := map[*Service]Diagnosis{}
	waiting := 1
	told := func() {
		if waiting--; waiting == 0 {
			done(all)
		}
	}
	for _, s := range m.services {
		d := Diagnosis{AccessPoint: s.network.point, Why: s.Why()}
		all[s] = d
		rater, ok := s.network.driver.(Rater)
		if !ok || !s.state.Connected() {
			continue
		}
		waiting++
		rater.Rate(func(mbits int) {
			d.Rate = mbits
			all[s] = d
			told()
		})
	}
	told()
}
