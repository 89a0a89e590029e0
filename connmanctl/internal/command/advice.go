package command

import "fmt"

// advice says what to do about errors whose own words do not. By the errors'
// names, those of the bus and of ConnMan without their prefix.
var advice = map[string]string{
	"NotRegistered":      askAgent,
	"PassphraseRequired": askAgent,
	"PermissionDenied":   mayNot,
	"AccessDenied":       mayNot,
	"ServiceUnknown":     startDaemon,
	"NameHasNoOwner":     startDaemon,
	"NoReply":            tooSlow,
	"Timeout":            tooSlow,
	"UnknownMethod":      noObject,
	"UnknownObject":      noObject,
	"InProgress":         "This is under way already: wait for it, or stop it with 'connmanctl disconnect'.",
	"NoCarrier":          "There is no link: plug the cable in, or move to where the network can be received.",
	"OperationTimeout":   "The network did not answer: check the passphrase and the signal, then connect again.",
}

const (
	askAgent = "Nobody could be asked for the passphrase: give it with 'connmanctl connect NAME --passphrase-file FILE', " +
		"or type 'agent on' at the prompt before 'connect'."
	mayNot      = "This user may not do that: try as root, or ask the administrator."
	startDaemon = "The daemon is not running: start it, for example with 'systemctl start connman'."
	tooSlow     = "The daemon took too long and may still be at it: 'connmanctl services' shows how things stand."
	noObject    = "There is no such thing now: 'connmanctl services', 'technologies' and 'vpnconnections' list what there is."
)

// advise writes what to do about an error, once for each command.
func (s *Session) advise(err error) {
	text := advice[errorName(err)]
	if text != "" && text != s.advised {
		s.advised = text
		fmt.Fprintf(s.Err, "Hint: %s\n", text)
	}
}
