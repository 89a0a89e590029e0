package busapi

import (
	"net.connman/connmand/internal/core"
	"net.connman/pkg/api/connman"
	"net.connman/pkg/bus"
)

// diagnostics serves net.connman.Diagnostics.
type diagnostics struct{ *API }

func (d diagnostics) GetServices(call *bus.Call) {
	d.core.Diagnose(func(all map[*core.Service]core.Diagnosis) {
		list := []bus.Object{}
		for _, s := range d.core.Services() {
			if diagnosis, ok := all[s]; ok {
				list = append(list, bus.Object{Path: servicePath(s), Properties: diagnosisDict(diagnosis)})
			}
		}
		call.Reply(list)
	})
}

func diagnosisDict(d core.Diagnosis) bus.Dict {
	dict := bus.Dict{}
	add := func(there bool, key string, value any) {
		if there {
			dict = append(dict, bus.Entry{Key: key, Value: value})
		}
	}
	add(d.AccessPoint.BSSID != "", connman.DiagnosisBSSID, hardwareText(d.AccessPoint.BSSID))
	add(d.AccessPoint.Frequency != 0, connman.DiagnosisFrequency, uint32(d.AccessPoint.Frequency))
	add(d.Rate != 0, connman.DiagnosisRate, uint32(d.Rate))
	add(d.Why != "", connman.DiagnosisWhy, d.Why)
	return dict
}
