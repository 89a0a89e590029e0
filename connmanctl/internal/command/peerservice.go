package command

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"net.connman/pkg/bus"
)

// peerService offers a service to Wi-Fi Direct peers or takes it back:
// register|unregister SPECIFICATION [MASTER].
func peerService(s *Session, args []string) error {
	if len(args) < 3 {
		return errInvalid
	}
	specification, used, err := peerSpecification(args[1:])
	if err != nil {
		return err
	}
	master, err := masterArg(args[1:], used)
	if err != nil {
		return err
	}
	switch args[0] {
	case "register":
		s.peerService("RegisterPeerService", "register", specification, master)
	case "unregister":
		s.peerService("UnregisterPeerService", "unregister", specification)
	default:
		return errInvalid
	}
	return nil
}

func (s *Session) peerService(method, verb string, args ...any) {
	s.call(manager, method, verb+"ing peer service", func([]any) {
		fmt.Fprintf(s.Out, "Peer service %sed\n", verb)
	}, args...)
}

// peerSpecification reads what is offered and returns how many words it took.
func peerSpecification(words []string) (specification bus.Dict, used int, err error) {
	if words[0] == "wfd_ies" {
		ies, err := hexArg(words[1])
		return bus.Dict{{Key: "WiFiDisplayIEs", Value: ies}}, 2, err
	}
	if len(words) < 4 {
		return nil, 0, errInvalid
	}
	switch words[0] + " " + words[2] {
	case "bjr_query bjr_response":
		query, err := hexArg(words[1])
		if err != nil {
			return nil, 0, err
		}
		response, err := hexArg(words[3])
		return bus.Dict{{Key: "BonjourQuery", Value: query}, {Key: "BonjourResponse", Value: response}}, 4, err
	case "upnp_service upnp_version":
		version, err := strconv.ParseInt(words[3], 10, 32)
		if err != nil || version == 0 {
			return nil, 0, errInvalid
		}
		return bus.Dict{{Key: "UpnpVersion", Value: int32(version)}, {Key: "UpnpService", Value: words[1]}}, 4, nil
	}
	return nil, 0, errInvalid
}

// masterArg reads the switch that may end the line, off when it is missing.
func masterArg(words []string, at int) (bool, error) {
	if len(words) != at+1 {
		return false, nil
	}
	master, ok := onOff(words[at])
	if !ok {
		return false, errInvalid
	}
	return master, nil
}

func hexArg(word string) ([]byte, error) {
	data, err := hex.DecodeString(word)
	if err != nil || len(data) == 0 {
		return nil, errInvalid
	}
	return data, nil
}
