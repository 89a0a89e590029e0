package rfkill

import (
	"encoding/binary"
	"fmt"

	"net.connman/connmand/internal/core"
)

// recordSize is the length of what the kernel reports and takes (linux/rfkill.h,
// struct rfkill_event). Newer kernels have a longer one, for who reads that much.
const recordSize = 8

// What a record is about: a switch that appeared, went or changed, or all
// switches of a kind.
const (
	opAdd = iota
	opDelete
	opChange
	opChangeAll
)

// technologies pairs the kinds of radios with technologies.
var technologies = map[uint8]core.Type{1: core.Wifi, 2: core.Bluetooth, 5: core.Cellular, 6: core.GPS}

// record is one report, or one request.
type record struct {
	index uint32 // names the switch, except with opChangeAll
	kind  uint8
	op    uint8
	soft  bool
	hard  bool
}

func parse(b []byte) (record, error) {
	if len(b) != recordSize {
		return record{}, fmt.Errorf("%d bytes instead of %d", len(b), recordSize)
	}
	r := record{index: binary.NativeEndian.Uint32(b), kind: b[4], op: b[5], soft: b[6] != 0, hard: b[7] != 0}
	if r.op > opChangeAll {
		return record{}, fmt.Errorf("unknown operation %d", r.op)
	}
	return r, nil
}

func (r record) bytes() []byte {
	b := binary.NativeEndian.AppendUint32(nil, r.index)
	b = append(b, r.kind, r.op, 0, 0)
	if r.soft {
		b[6] = 1
	}
	if r.hard {
		b[7] = 1
	}
	return b
}
