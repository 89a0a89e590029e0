package dhcp6

import (
	"encoding/binary"
	"fmt"
)

// code is the number of an option.
type code uint16

// The options that are used.
const (
	optClientID    code = 1
	optServerID    code = 2
	optIANA        code = 3 // association of addresses that are not temporary
	optIAAddress   code = 5
	optRequest     code = 6
	optPreference  code = 7
	optElapsed     code = 8
	optStatus      code = 13
	optRapidCommit code = 14
	optDNS         code = 23 // RFC 3646
	optDomains     code = 24
	optIAPD        code = 25 // association of delegated prefixes
	optIAPrefix    code = 26
	optSNTP        code = 31 // RFC 4075
	optRefresh     code = 32
	optNTP         code = 56 // RFC 5908
	optSolMaxRT    code = 82
	optInfMaxRT    code = 83
	optPortal      code = 103 // RFC 8910
)

// The parts of optNTP that are used.
const (
	ntpAddress code = 1
	ntpName    code = 3
)

const (
	maxOptions      = 128 // in one place; servers send a dozen
	optionHeaderLen = 4
)

type option struct {
	code  code
	value []byte
}

// options are in the order of the message.
type options []option

// parseOptions reads options that fill b to its end.
func parseOptions(b []byte) (options, error) {
	var list options
	for len(b) > 0 {
		if len(b) < optionHeaderLen {
			return nil, fmt.Errorf("option breaks off after %d bytes", len(b))
		}
		c, size := code(binary.BigEndian.Uint16(b)), int(binary.BigEndian.Uint16(b[2:]))
		if b = b[optionHeaderLen:]; size > len(b) {
			return nil, fmt.Errorf("option %d of %d bytes has %d", c, size, len(b))
		}
		if len(list) == maxOptions {
			return nil, fmt.Errorf("more than %d options", maxOptions)
		}
		list = append(list, option{c, b[:size]})
		b = b[size:]
	}
	return list, nil
}

// get returns the value of the first option of its kind.
func (o options) get(c code) (value []byte, found bool) {
	for _, e := range o {
		if e.code == c {
			return e.value, true
		}
	}
	return nil, false
}

// uint32 returns an option of four bytes.
func (o options) uint32(c code) (v uint32, found bool) {
	b, _ := o.get(c)
	if len(b) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(b), true
}

// appendOption adds an option, whose value must fit, to a message.
func appendOption(b []byte, c code, value ...byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(c))
	b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
	return append(b, value...)
}
