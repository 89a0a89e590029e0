package l2tp

import (
	"slices"
	"strings"

	"net.connman/vpnd/internal/child"
	"net.connman/vpnd/internal/core"
	"net.connman/vpnd/internal/ppp"
)

const (
	keyUser     = "L2TP.User"
	keyPassword = "L2TP.Password"
	keyRedial   = "L2TP.Redial"
)

// section is a part of xl2tpd's configuration.
type section int

const (
	global section = iota // [global]
	lns                   // [lns default]
	lac                   // [lac l2tp]
)

// option is a setting of xl2tpd's, see xl2tpd.conf(5).
type option struct {
	key     string
	name    string
	section section
	without string // its value if the setting is not there
	check   func(string) error
}

var options = []option{
	{"L2TP.BPS", "bps", lac, "", number},
	{"L2TP.TXBPS", "tx bps", lac, "", number},
	{"L2TP.RXBPS", "rx bps", lac, "", number},
	{"L2TP.LengthBit", "length bit", lac, "", ppp.CheckBool},
	{"L2TP.Challenge", "challenge", lac, "", ppp.CheckBool},
	{"L2TP.DefaultRoute", "defaultroute", lac, "", ppp.CheckBool},
	{"L2TP.FlowBit", "flow bit", lac, "", ppp.CheckBool},
	{"L2TP.TunnelRWS", "tunnel rws", lac, "", number},
	{"L2TP.Exclusive", "exclusive", lns, "", ppp.CheckBool},
	{"L2TP.Autodial", "autodial", lac, "yes", ppp.CheckBool},
	{keyRedial, "redial", lac, "yes", ppp.CheckBool},
	{"L2TP.RedialTimeout", "redial timeout", lac, "10", number},
	{"L2TP.MaxRedials", "max redials", lac, "", number},
	{"L2TP.RequirePAP", "require pap", lac, "no", ppp.CheckBool},
	{"L2TP.RequireCHAP", "require chap", lac, "yes", ppp.CheckBool},
	{"L2TP.ReqAuth", "require authentication", lac, "no", ppp.CheckBool},
	{"L2TP.AccessControl", "access control", global, "yes", ppp.CheckBool},
	{"L2TP.AuthFile", "auth file", global, "", nil},
	{"L2TP.ForceUserSpace", "force userspace", global, "", ppp.CheckBool},
	{"L2TP.ListenAddr", "listen-addr", global, "", core.CheckHost},
	{"L2TP.Rand Source", "rand source", global, "", nil},
	{"L2TP.IPsecSaref", "ipsec saref", global, "no", ppp.CheckBool},
	{"L2TP.Port", "port", global, "", ppp.Within(0, 65535)},
}

var number = ppp.Within(0, 1<<31-1)

// pppOptions are those that PPTP does not have, or calls otherwise.
var pppOptions = slices.Concat(ppp.Common, []ppp.Option{
	{Key: "PPPD.NoPcomp", Name: "nopcomp"},
	{Key: "PPPD.UseAccomp", Name: "noaccomp"},
	{Key: "PPPD.ReqMPPE", Name: "require-mppe"},
	{Key: "PPPD.ReqMPPE40", Name: "require-mppe-40"},
	{Key: "PPPD.ReqMPPE128", Name: "require-mppe-128"},
	{Key: "PPPD.ReqMPPEStateful", Name: "mppe-stateful"},
})

func keys() []core.Key {
	list := []core.Key{{Name: keyUser}, {Name: keyPassword, Secret: true}}
	for _, o := range options {
		list = append(list, core.Key{Name: o.key, Check: o.check})
	}
	return append(list, ppp.Keys(pppOptions)...)
}

// The files of the task's directory.
const (
	configFile  = "xl2tpd.conf"
	pppFile     = "ppp.conf"
	controlFile = "control"
	pidFile     = "pid"
)

// configuration writes what xl2tpd reads. Values are single lines: they were
// checked.
func configuration(s core.Settings, user, server string, p child.Place) string {
	var b strings.Builder
	write := func(part section) {
		for _, o := range options {
			value := s.Text[o.key]
			if value == "" {
				value = o.without
			}
			if o.section == part && value != "" {
				b.WriteString(o.name + " = " + value + "\n")
			}
		}
	}
	b.WriteString("[global]\n")
	write(global)
	b.WriteString("[lns default]\n")
	write(lns)
	b.WriteString("[lac l2tp]\nlns = " + server + "\nname = " + user + "\n")
	write(lac)
	b.WriteString("pppoptfile = " + p.Dir + "/" + pppFile + "\n")
	return b.String()
}
