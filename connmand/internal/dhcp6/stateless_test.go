package dhcp6

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

func TestStateless(t *testing.T) {
	for _, test := range []struct {
		name    string
		option  []byte
		refresh time.Duration
	}{
		{"default", nil, 24 * time.Hour},
		{"told", binary.BigEndian.AppendUint32(nil, 7200), 2 * time.Hour},
		{"too short", binary.BigEndian.AppendUint32(nil, 1), 10 * time.Minute},
		{"never", []byte{255, 255, 255, 255}, 0},
		{"nonsense", []byte{1}, 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSim(t, func(q sent) [][]byte {
				b := appendOption(q.answer(response, serverOne), optDNS, addrOne.AsSlice()...)
				if test.option != nil {
					b = appendOption(b, optRefresh, test.option...)
				}
				return [][]byte{b}
			})
			s.m.wants = wishes{}
			s.step(begin{last: addrOne})
			s.wantLease()
			s.wantState(informed)
			q := s.sent[0]
			if q.kind() != information || q.Options.OneIANA() != nil || !q.Options.RequestedOptions().Contains(dhcpv6.OptionInfMaxRT) ||
				!q.Options.RequestedOptions().Contains(dhcpv6.OptionInformationRefreshTime) {
				t.Errorf("sent %v", q)
			}
			s.run(100 * 24 * time.Hour)
			if test.refresh == 0 {
				s.wantKinds(information)
			} else if got := s.sent[1].at.Sub(epoch); got != test.refresh {
				t.Errorf("asked again after %v", got)
			}
			s.step(end{true})
			s.wantState(stopped)
		})
	}
}
