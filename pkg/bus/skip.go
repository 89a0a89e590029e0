package bus

import (
	"errors"
	"slices"
)

// someProperties reads a dictionary of type a{sv} of which only some entries are
// wanted. What is passed over is not looked into.
func (d *decoder) someProperties(depth int) (Dict, error) {
	end, err := d.openArray("{sv}")
	if err != nil {
		return nil, err
	}
	properties := make(Dict, 0, len(d.only))
	for d.pos < end {
		e, wanted, err := d.property(depth, len(properties) == 0)
		if err != nil {
			return nil, err
		}
		if wanted {
			properties = append(properties, e)
		}
	}
	if d.pos != end {
		return nil, errCrossing
	}
	return properties, nil
}

// property reads an entry, or passes over one that is not wanted.
func (d *decoder) property(depth int, first bool) (e Entry, wanted bool, err error) {
	if err = d.align(8); err != nil {
		return e, false, err
	}
	key, err := d.rawString()
	if err != nil {
		return e, false, err
	}
	i := slices.IndexFunc(d.only, func(name string) bool { return name == string(key) })
	if i < 0 && !first {
		return e, false, d.skipVariant(depth + 2)
	}
	e.Key = d.intern(key)
	e.Value, err = d.variant(depth + 2)
	return e, true, err
}

func (d *decoder) skipVariant(depth int) error {
	n, err := d.take(1)
	if err != nil {
		return err
	}
	sig, err := d.take(int(n[0]) + 1)
	if err != nil {
		return err
	}
	typ := d.intern(sig[:n[0]])
	if !IsType(typ) {
		return errors.New("variant holds no single value")
	}
	return d.skip(typ, depth)
}

// skip passes over a value of the complete type typ.
func (d *decoder) skip(typ string, depth int) error {
	if depth > maxDepth {
		return errTooDeep
	}
	var err error
	switch typ[0] {
	case 's', 'o':
		_, err = d.rawString()
	case 'g':
		_, err = d.signature()
	case 'v':
		err = d.skipVariant(depth + 1)
	case 'a':
		d.pos, err = d.openArray(typ[1:])
	case '(':
		err = d.skipFields(typ[1:len(typ)-1], depth+1)
	default:
		_, err = d.fixed(alignment(typ[0]))
	}
	return err
}

func (d *decoder) skipFields(sig string, depth int) error {
	if err := d.align(8); err != nil {
		return err
	}
	for sig != "" {
		typ, rest, err := nextType(sig)
		if err != nil {
			return err
		}
		if err := d.skip(typ, depth); err != nil {
			return err
		}
		sig = rest
	}
	return nil
}
