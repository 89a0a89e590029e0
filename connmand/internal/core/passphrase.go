package core

import (
	"cmp"
	"errors"
	"strings"
	"time"

	"net.connman/pkg/logx"
)

// Credentials are what a network lets machines in for.
type Credentials struct {
	Passphrase logx.Secret // also a key in hexadecimal digits, as CheckPassphrase says
	Identity   string      // for 802.1X
	WPS        bool        // get the rest from the network itself
	PIN        string      // with WPS: its PIN, "" for the push button
	Hidden     bool        // the network answers only who asks for it by name
	Address    AddressPolicy
	Spec       *WifiSpec // what a provisioning file says, if there is one
	Caller     string    // unique bus name of the program that wants it, "" for none
}

// ErrRejected says that a network did not let us in for the credentials.
var ErrRejected = errors.New("the network rejects the credentials")

// InputField is something that the user is asked for.
type InputField struct {
	Name        string
	Type        string
	Requirement string   // "mandatory", "optional", "alternate" or "informational"
	Alternates  []string // fields that will do instead
	Value       logx.Secret
}

// Input is what the user answered.
type Input struct {
	SSID string // of a hidden network
	Credentials
}

// The fields of agents.
const (
	fieldName       = "Name"
	fieldSSID       = "SSID"
	fieldIdentity   = "Identity"
	fieldPassphrase = "Passphrase"
	fieldPrevious   = "PreviousPassphrase"
	fieldWPS        = "WPS"
)

// typePIN is the kind of the field WPS.
const typePIN = "wpspin"

// patience is how often a passphrase that has served before must be rejected in
// a row until it counts as wrong: bad reception looks the same.
const patience = 3

// access is how a wireless service gets into its network.
type access struct {
	s        *Service
	offered  *Credentials // by the user, not saved before they have served
	previous logx.Secret  // what was rejected last
	pin      logx.Secret  // that Wi-Fi Protected Setup failed with last
	rejects  int          // in a row
	rejected bool         // the user is to be asked anew
	ask      func()       // cancels the question to the user
}

// offer takes what the user answered for the next attempt.
func (a *access) offer(c Credentials) {
	a.offered = &c
	a.rejected, a.pin = false, ""
}

// credentials are what the next attempt uses.
func (a *access) credentials() Credentials {
	w := a.s.network.info.Wireless
	var c Credentials
	if spec := a.s.spec; spec != nil && spec.Wifi != nil {
		c = Credentials{Passphrase: spec.Wifi.Passphrase, Identity: spec.Wifi.Identity, Spec: spec.Wifi}
	}
	if c.Passphrase == "" { // what the user said once, both of it
		c.Passphrase = a.s.settings.Passphrase
		c.Identity = cmp.Or(a.s.settings.Identity, c.Identity)
	}
	if o := a.offered; o != nil {
		if o.Identity != "" {
			c.Identity = o.Identity
		}
		c.Passphrase, c.WPS, c.PIN = o.Passphrase, o.WPS, o.PIN
	}
	c.Hidden = a.s.settings.Hidden || c.Spec != nil && c.Spec.Hidden
	c.Address = cmp.Or(a.s.settings.Address, a.s.m.cfg.AddressPolicy, AddressPermanent)
	if c.Spec != nil {
		c.Address = cmp.Or(c.Spec.Address, c.Address)
	}
	if w.WPSActive && w.Security == SecurityPSK && c.Passphrase == "" {
		c.WPS = true
	}
	return c
}

// missing reports whether something is missing that only the user can tell.
func (a *access) missing() bool {
	if a.s.kind != Wifi {
		return false
	}
	c := a.credentials()
	switch a.s.network.info.Wireless.Security {
	case SecurityWEP, SecurityPSK:
		return !c.WPS && CheckPassphrase(a.s.network.info.Wireless.Security, c.Passphrase) != nil
	case SecurityEAP:
		return c.Spec != nil && c.Spec.EAP != "tls" && (c.Identity == "" || c.Passphrase == "")
	}
	return false
}

// mustAsk reports whether only the user can say how to go on. What was rejected is
// tried once more where the user wants it but there is nobody to ask.
func (a *access) mustAsk(reason connectReason) bool {
	anew := a.rejected && reason == reasonUser && len(a.s.m.agents.list) > 0
	return a.s.hidden() || a.missing() || anew
}

// unable says why the service cannot be connected at all, if so.
func (a *access) unable() error {
	s := a.s
	if s.kind == Wifi && s.network.info.Wireless.Security == SecurityEAP && a.credentials().Spec == nil {
		return ErrInvalidArguments // a provisioning file must say how
	}
	return nil
}

// question asks the user for what is missing, and connects then. It is an error
// when there is nobody to ask.
func (a *access) question() error {
	s := a.s
	cancel, asked := s.m.agents.requestInput(s, a.fields(), func(in Input, err error) {
		a.ask = nil
		a.answered(in, err)
	})
	if !asked {
		return ErrNotRegistered
	}
	s.retry.stop()
	s.setFailure(NoFailure)
	if s.state == Failed {
		s.setStates(Idle, "the user is asked")
	}
	a.ask = cancel
	return nil
}

// answered goes on with what the user said.
func (a *access) answered(in Input, err error) {
	s := a.s
	security := s.network.info.Wireless.Security
	switch {
	case err != nil:
		s.answer(err)
		s.retry.schedule()
	case s.hidden():
		a.seek(in, security)
	case !in.WPS && CheckPassphrase(security, in.Passphrase) != nil, in.WPS && !isPIN(in.PIN):
		a.previous, a.pin, a.rejected = in.Passphrase, logx.Secret(in.PIN), true
		s.reason = reasonUser
		s.setStates(Association, "the user answered")
		s.refuse(InvalidKey)
	default:
		a.offer(in.Credentials)
		if a.missing() { // asking for it again could go on for ever
			a.offered = nil
			s.answer(ErrInvalidArguments)
			return
		}
		if err := s.connect(reasonUser); err != nil {
			s.answer(err)
		}
	}
}

// seek hands the caller of Connect over to the network that the user named.
func (a *access) seek(in Input, security Security) {
	s := a.s
	if len(in.SSID) == 0 || len(in.SSID) > 32 || security != SecurityNone && CheckPassphrase(security, in.Passphrase) != nil {
		s.answer(ErrInvalidArguments)
		return
	}
	done := s.pending
	s.pending = nil
	s.network.device.seek(&seek{ssid: in.SSID, security: security, credentials: in.Credentials, done: func(err error) {
		if done != nil {
			done(err)
		}
	}})
}

// Learned tells the passphrase that the network itself gave. It is saved once it
// has served.
func (n *Network) Learned(passphrase logx.Secret) {
	if n.service != nil {
		n.service.access.offer(Credentials{Passphrase: passphrase})
	}
}

// withdraw cancels a question to the user, and with it the attempt to connect.
func (s *Service) withdraw() {
	if ask := s.access.ask; ask != nil {
		s.access.ask = nil
		ask()
		s.answer(ErrAborted)
	}
}

// served notes that the credentials let us in: the next time the user need not
// be asked.
func (a *access) served() {
	if a.s.kind != Wifi {
		return
	}
	s := a.s
	if o := a.offered; o != nil && o.Passphrase != "" {
		identity := cmp.Or(o.Identity, s.settings.Identity)
		s.settingsDirty = s.settingsDirty || s.settings.Passphrase != o.Passphrase || s.settings.Identity != identity
		s.settings.Passphrase, s.settings.Identity = o.Passphrase, identity
	}
	if mhz := s.network.point.Frequency; mhz != 0 {
		s.m.rememberFrequency(mhz)
		if s.settings.Frequency != mhz {
			s.settings.Frequency = mhz
			s.settingsDirty = true
		}
	}
	if s.settings.SSID == "" {
		s.settings.SSID = s.network.info.Wireless.SSID
		s.settingsDirty = true
	}
	*a = access{s: s}
}

// refused draws the conclusion of a rejection.
func (a *access) refused() Failure {
	a.rejects++
	if a.offered == nil && a.rejects < patience {
		return ConnectFailed
	}
	a.previous = a.credentials().Passphrase
	a.offered, a.rejected = nil, true
	return InvalidKey
}

// endSetup gives up Wi-Fi Protected Setup. Neither the same PIN nor a button that
// nobody presses will do better the next time, so the user is asked anew.
func (a *access) endSetup() {
	if o := a.offered; o != nil && o.WPS {
		a.offered, a.pin = nil, logx.Secret(o.PIN)
	}
}

// fields are what the user is asked for.
func (a *access) fields() []InputField {
	s, w := a.s, a.s.network.info.Wireless
	var all []InputField
	if s.hidden() {
		all = append(all,
			InputField{Name: fieldName, Type: "string", Requirement: "mandatory", Alternates: []string{fieldSSID}},
			InputField{Name: fieldSSID, Type: "ssid", Requirement: "alternate"})
	}
	if w.Security == SecurityEAP {
		all = append(all, InputField{Name: fieldIdentity, Type: "string", Requirement: "mandatory"})
	}
	if w.Security != SecurityNone {
		passphrase := InputField{Name: fieldPassphrase, Type: a.passphraseType(), Requirement: "mandatory"}
		if w.WPS {
			passphrase.Alternates = []string{fieldWPS}
		}
		all = append(all, passphrase)
		if previous := a.lastAnswer(); previous.Value != "" {
			all = append(all, previous)
		}
	}
	if w.WPS && w.Security != SecurityNone {
		all = append(all, InputField{Name: fieldWPS, Type: typePIN, Requirement: "alternate"})
	}
	return all
}

// lastAnswer is what did not serve, or what served when it still did.
func (a *access) lastAnswer() InputField {
	f := InputField{Name: fieldPrevious, Type: a.passphraseType(), Requirement: "informational", Value: a.pin}
	if f.Value != "" {
		f.Type = typePIN
	} else {
		f.Value = cmp.Or(a.previous, a.s.settings.Passphrase)
	}
	return f
}

// passphraseType is the kind of passphrase, as agents know it.
func (a *access) passphraseType() string {
	switch a.s.network.info.Wireless.Security {
	case SecurityWEP, SecurityPSK:
		return string(a.s.network.info.Wireless.Security)
	case SecurityEAP:
		if spec := a.credentials().Spec; spec != nil && isChallenge(spec.Phase2) {
			return "response"
		}
		return "passphrase"
	}
	return "string"
}

// isChallenge reports whether an inner method asks for a different answer every
// time.
func isChallenge(phase2 string) bool {
	n := len(phase2)
	return n >= 3 && (phase2[n-3:] == "GTC" || phase2[n-3:] == "OTP")
}

var errPassphrase = errors.New("not a passphrase for this kind of network")

// CheckPassphrase returns an error for what no network of that security takes:
// WPA knows 8 to 63 characters or a key of 64 hexadecimal digits (IEEE 802.11,
// J.4), WEP keys of 5 or 13 characters or twice as many digits.
func CheckPassphrase(security Security, passphrase logx.Secret) error {
	p := passphrase.Reveal()
	n := len(p)
	ok := true
	switch security {
	case SecurityPSK:
		ok = n >= 8 && n <= 63 || n == 64 && isHex(p)
	case SecurityWEP:
		ok = n == 5 || n == 13 || (n == 10 || n == 26) && isHex(p)
	}
	if !ok {
		return errPassphrase
	}
	return nil
}

// isPIN reports whether s is a PIN of Wi-Fi Protected Setup, or "" for the push
// button.
func isPIN(s string) bool {
	return s == "" || len(s) == 8 && strings.Trim(s, "0123456789") == ""
}

func isHex(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// The wait before a service whose credentials were rejected is tried again
// doubles from the first to the last of these: networks get their old passphrase
// back, and too many attempts look like an attack.
const (
	firstRejectedRetry = time.Minute
	lastRejectedRetry  = 30 * time.Minute
)
