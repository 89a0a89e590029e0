package ethernet

import (
	"slices"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/core"
	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/fake"
	"net.connman/connmand/internal/link"
	"net.connman/connmand/internal/tech/techtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wire starts the bearer over a kernel in memory.
func wire(w *techtest.World, filter Filter) (*fake.Kernel, *link.Table) {
	k := fake.New()
	table := link.New(w.Loop, k, w.Log)
	go func() {
		_ = k.Run(w.Context, func(e []kernel.Event) { w.Loop.Post("kernel", func() { table.Deliver(e) }) })
	}()
	w.Do(func() { Start(w.Manager, table, filter, w.Log) })
	return k, table
}

// hardware is ports of one kind, by name.
func hardware(w *techtest.World, kind core.Type, devType string) techtest.Hardware {
	k, _ := wire(w, Filter{})
	ports := map[string]kernel.Link{}
	return techtest.Hardware{
		Type: kind,
		Appear: func(name string) {
			if _, ok := ports[name]; ok {
				synctest.Wait()
			}
			ports[name] = k.AddLink(kernel.Link{Name: name, Type: kernel.TypeEther, DevType: devType,
				HardwareAddr: "\x02\x00\x00\x00\x00" + name[:1]})
		},
		Vanish:     func(name string) { k.RemoveLink(ports[name].Index) },
		SetNetwork: func(name string, there bool) { k.SetCarrier(ports[name].Index, there) },
		On:         func(name string) bool { return k.Link(ports[name].Index).Up },
	}
}

func TestConformance(t *testing.T) {
	t.Run("ethernet", func(t *testing.T) {
		techtest.Suite(t, func(w *techtest.World) techtest.Hardware { return hardware(w, core.Ethernet, "") })
	})
	t.Run("gadget", func(t *testing.T) {
		techtest.Suite(t, func(w *techtest.World) techtest.Hardware { return hardware(w, core.Gadget, "gadget") })
	})
}

func TestClassify(t *testing.T) {
	ether := kernel.Link{Index: 2, Name: "eth0", Type: kernel.TypeEther, HardwareAddr: "\x02\x00\x00\x00\x00\x01"}
	with := func(edit func(*kernel.Link)) kernel.Link {
		l := ether
		edit(&l)
		return l
	}
	for name, c := range map[string]struct {
		link kernel.Link
		want core.Type
	}{
		"port":        {ether, core.Ethernet},
		"veth":        {with(func(l *kernel.Link) { l.Kind = "veth" }), core.Ethernet},
		"vlan":        {with(func(l *kernel.Link) { l.Kind, l.VLAN = "vlan", 7 }), core.Ethernet},
		"bond":        {with(func(l *kernel.Link) { l.Kind, l.DevType = "bond", "bond" }), core.Ethernet},
		"switch port": {with(func(l *kernel.Link) { l.DevType = "dsa" }), core.Ethernet},
		"gadget":      {with(func(l *kernel.Link) { l.DevType = "gadget" }), core.Gadget},
		"wlan":        {with(func(l *kernel.Link) { l.DevType = "wlan" }), ""},
		"wwan":        {with(func(l *kernel.Link) { l.DevType = "wwan" }), ""},
		"bluetooth":   {with(func(l *kernel.Link) { l.DevType = "bluetooth" }), ""},
		"bridge":      {with(func(l *kernel.Link) { l.Kind = "bridge" }), ""},
		"tap":         {with(func(l *kernel.Link) { l.Kind = "tun" }), ""},
		"dummy":       {with(func(l *kernel.Link) { l.Kind = "dummy" }), ""},
		"macvlan":     {with(func(l *kernel.Link) { l.Kind = "macvlan" }), ""},
		"bridge port": {with(func(l *kernel.Link) { l.Master = 9 }), ""},
		"bond slave":  {with(func(l *kernel.Link) { l.Slave = true }), ""},
		"loopback":    {with(func(l *kernel.Link) { l.Type = kernel.TypeLoopback }), ""},
		"tun":         {with(func(l *kernel.Link) { l.Type, l.Kind, l.HardwareAddr = 65534, "tun", "" }), ""},
		"ppp":         {with(func(l *kernel.Link) { l.Type, l.HardwareAddr = 512, "" }), ""},
		"infiniband":  {with(func(l *kernel.Link) { l.Type, l.HardwareAddr = 32, "12345678901234567890" }), ""},
	} {
		if got, ok := classify(c.link); got != c.want || ok != (c.want != "") {
			t.Errorf("%s is %q, %t; want %q", name, got, ok, c.want)
		}
	}
}

func TestFilter(t *testing.T) {
	blacklist := []string{"vmnet", "vboxnet", "virbr", "ifb", "ve-", "vb-", "ham", "veth"}
	for _, c := range []struct {
		only, except []string
		passes, not  []string
	}{
		{nil, nil, []string{"eth0", "enp3s0", "end0", "usb0"}, []string{"veth1a2b", "virbr0", "ve-web", "ifb0"}},
		{[]string{"eth*"}, nil, []string{"eth0", "eth"}, []string{"enp3s0", "weth0"}},
		{[]string{"*"}, []string{"eth1", "en?"}, []string{"eth0", "enp3s0"}, []string{"eth1", "en0", "veth0"}},
	} {
		f := Filter{Only: c.only, Except: c.except, Blacklist: blacklist}
		if err := f.Check(); err != nil {
			t.Fatal(err)
		}
		for _, name := range c.passes {
			if !f.Passes(name) {
				t.Errorf("%+v stops %s", c, name)
			}
		}
		for _, name := range c.not {
			if f.Passes(name) {
				t.Errorf("%+v lets %s pass", c, name)
			}
		}
	}
	if (Filter{Except: []string{"[a"}}).Check() == nil {
		t.Error("a broken pattern passes")
	}
}

// services returns the identifiers that users see.
func services(w *techtest.World) []string {
	var ids []string
	w.Do(func() {
		for _, s := range w.Manager.Services() {
			ids = append(ids, s.ID())
		}
	})
	slices.Sort(ids)
	return ids
}

func TestServiceNames(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		k, _ := wire(w, Filter{Except: []string{"tmp*"}})
		mac := "\x02\x00\x00\xab\xcd\xef"
		plug := func(l kernel.Link) kernel.Link {
			l.Type, l.HardwareAddr = kernel.TypeEther, mac
			l = k.AddLink(l)
			synctest.Wait()
			k.SetCarrier(l.Index, true)
			return l
		}
		wants := func(want ...string) {
			t.Helper()
			synctest.Wait()
			if got := services(w); !slices.Equal(got, want) {
				t.Fatalf("services are %q, want %q", got, want)
			}
		}
		port := plug(kernel.Link{Name: "eth0"})
		vlan := plug(kernel.Link{Name: "eth0.26", Kind: "vlan", VLAN: 26, Parent: port.Index})
		plug(kernel.Link{Name: "usb0", DevType: "gadget"})
		plug(kernel.Link{Name: "br0", Kind: "bridge"})
		plug(kernel.Link{Name: "tmp0"})
		wants("ethernet_020000abcdef_01a_cable", "ethernet_020000abcdef_cable", "gadget_020000abcdef_usb")

		k.ChangeLink(vlan.Index, func(l *kernel.Link) { l.HardwareAddr = "\x02\x00\x00\x00\x00\x01" })
		wants("ethernet_020000000001_01a_cable", "ethernet_020000abcdef_cable", "gadget_020000abcdef_usb")

		k.ChangeLink(port.Index, func(l *kernel.Link) { l.Name = "lan0" })
		wants("ethernet_020000000001_01a_cable", "ethernet_020000abcdef_cable", "gadget_020000abcdef_usb")
		w.Do(func() {
			if got := w.Manager.Service("ethernet_020000abcdef_cable").Device().Link.Name; got != "lan0" {
				t.Errorf("the service's interface is %s after the rename", got)
			}
		})

		k.ChangeLink(port.Index, func(l *kernel.Link) { l.Master = 77 }) // a bridge takes it
		wants("ethernet_020000000001_01a_cable", "gadget_020000abcdef_usb")
		k.ChangeLink(port.Index, func(l *kernel.Link) { l.Master = 0 })
		wants("ethernet_020000000001_01a_cable", "ethernet_020000abcdef_cable", "gadget_020000abcdef_usb")

		k.ChangeLink(port.Index, func(l *kernel.Link) { l.Name = "tmp1" })
		wants("ethernet_020000000001_01a_cable", "gadget_020000abcdef_usb")
	})
}

// A link that is up with its carrier when the daemon starts is not touched: it
// keeps working while the daemon takes over.
func TestWorkingLinkIsNotTouched(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		k, _ := wire(w, Filter{})
		k.AddLink(kernel.Link{Name: "eth0", Type: kernel.TypeEther, HardwareAddr: "\x02\x00\x00\x00\x00\x01",
			Up: true, Carrier: true, Running: true})
		foreign := k.AddLink(kernel.Link{Name: "docker0", Kind: "bridge", Type: kernel.TypeEther,
			HardwareAddr: "\x02\x00\x00\x00\x00\x02"})
		synctest.Wait()
		for _, request := range k.Writes() {
			if request != "set up true on 1" { // the loopback link
				t.Errorf("asked the kernel to %s", request)
			}
		}
		if got := services(w); len(got) != 1 {
			t.Errorf("services are %q", got)
		}
		if k.Link(foreign.Index).Up {
			t.Error("brought up a bridge of somebody else")
		}
	})
}

// While the technology is off a link that somebody else brings up is not ours.
func TestOffStaysOff(t *testing.T) {
	techtest.Run(t, func(w *techtest.World) {
		k, _ := wire(w, Filter{})
		l := k.AddLink(kernel.Link{Name: "eth0", Type: kernel.TypeEther, HardwareAddr: "\x02\x00\x00\x00\x00\x01"})
		synctest.Wait()
		w.Do(func() { w.Manager.Technology(core.Ethernet).SetPowered(false, func(error) {}) })
		k.ChangeLink(l.Index, func(l *kernel.Link) { l.Up, l.Carrier, l.Running = true, true, true })
		synctest.Wait()
		if got := services(w); len(got) != 0 {
			t.Errorf("services are %q", got)
		}
	})
}
