package fake

import (
	"testing"

	"go.uber.org/goleak"

	"net.connman/connmand/internal/kernel"
	"net.connman/connmand/internal/kernel/kerneltest"
	"net.connman/pkg/netcfg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSuite(t *testing.T) {
	kerneltest.Suite(t, func(t *testing.T) kerneltest.Lab {
		k := New()
		return kerneltest.Lab{
			Kernel: k,
			AddLink: func(name string) int {
				return k.AddLink(kernel.Link{Name: name, Kind: "veth", Type: kernel.TypeEther, HardwareAddr: "\x02\x00\x00\x00\x00\x01"}).Index
			},
			RemoveLink: k.RemoveLink,
			SetCarrier: k.SetCarrier,
			Put:        func(index int, a netcfg.Addr) { k.Put(kernel.Addr{Index: index, Addr: a}) },
		}
	})
}
