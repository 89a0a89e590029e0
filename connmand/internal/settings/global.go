package settings

import (
	"net.connman/connmand/internal/core"
	"net.connman/pkg/keyfile"
	"net.connman/pkg/logx"
)

const (
	globalGroup = "global"
	offlineMode = "OfflineMode"
	defaultFreq = 2412 // MHz, channel 1
	maxFreq     = 100_000
)

// remembered are the technologies that have a group, in the order in which new
// groups are written.
var remembered = []core.Type{core.Ethernet, core.Wifi, core.Bluetooth, core.Cellular, core.Gadget, core.P2P}

var technologyKeys = []string{"Enable", "Tethering", "Tethering.Identifier", "Tethering.Passphrase", "Tethering.Freq"}

func (s *Store) readGlobal(path string, data []byte) core.GlobalSettings {
	file, _ := s.parse(path, data)
	r := reader{file: file, group: globalGroup}
	settings := core.GlobalSettings{
		OfflineMode:  r.bool(offlineMode),
		Technologies: make(map[core.Type]core.TechnologySettings),
	}
	for _, t := range remembered {
		r.group = t.DisplayName()
		// Without Enable the technology is new: its default decides.
		if _, err := file.Bool(r.group, "Enable"); err != nil {
			r.ok(err)
			continue
		}
		settings.Technologies[t] = core.TechnologySettings{
			Enable:              r.bool("Enable"),
			Tethering:           r.bool("Tethering"),
			TetheringIdentifier: r.text("Tethering.Identifier"),
			TetheringPassphrase: logx.Secret(unescapeC(r.text("Tethering.Passphrase"))),
			TetheringFreq:       r.number("Tethering.Freq", 0, maxFreq),
		}
	}
	s.logProblems(path, r.problems)
	return settings
}

func writeGlobal(file *keyfile.File, settings core.GlobalSettings) {
	file.SetBool(globalGroup, offlineMode, settings.OfflineMode)
	file.Order(technologyKeys)
	for _, t := range remembered {
		tech, ok := settings.Technologies[t]
		if !ok {
			continue
		}
		group := t.DisplayName()
		file.SetBool(group, "Enable", tech.Enable)
		file.SetBool(group, "Tethering", tech.Tethering)
		setText(file, group, "Tethering.Identifier", tech.TetheringIdentifier)
		setText(file, group, "Tethering.Passphrase", escapeC(tech.TetheringPassphrase.Reveal()))
		freq := tech.TetheringFreq
		if freq == 0 {
			freq = defaultFreq
		}
		file.SetInt(group, "Tethering.Freq", freq)
	}
}

// setText writes a text, or takes the key out when there is none.
func setText(file *keyfile.File, group, key, value string) {
	if value == "" {
		file.Remove(group, key)
		return
	}
	file.SetString(group, key, value)
}

func (s *Store) logProblems(path string, problems []keyfile.Problem) {
	for _, p := range problems {
		p.File = path
		s.log.Warn("wrong value in settings is left out", "err", p)
	}
}
