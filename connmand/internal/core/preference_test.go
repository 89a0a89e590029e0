package core

import "testing"

// What main.conf says of technologies decides whether a known wireless network
// connects beside a cable, and which of the two gets the default route.
func TestPreferredAndAlwaysConnected(t *testing.T) {
	for name, tt := range map[string]struct {
		adjust  func(*Config)
		wifi    State // of the wireless service once a lease was offered
		wire    State
		carrier string
	}{
		"nothing said":      {func(*Config) {}, Idle, Online, "eth0"},
		"always connected":  {func(c *Config) { c.AlwaysConnected = []Type{Wifi} }, Ready, Online, "eth0"},
		"preferred":         {func(c *Config) { c.Preferred = []Type{Wifi, Ethernet} }, Ready, Ready, "wlan0"},
		"alone in the list": {func(c *Config) { c.Preferred = []Type{Wifi} }, Ready, Ready, "wlan0"},
		"less preferred":    {func(c *Config) { c.Preferred = []Type{Ethernet, Wifi} }, Idle, Online, "eth0"},
		"preferred less but always connected": {func(c *Config) {
			c.Preferred, c.AlwaysConnected = []Type{Ethernet, Wifi}, []Type{Wifi}
		}, Ready, Online, "eth0"},
		"one at a time": {func(c *Config) {
			c.SingleConnected, c.AlwaysConnected = true, []Type{Wifi}
		}, Idle, Online, "eth0"},
		"one at a time, the preferred": {func(c *Config) {
			c.SingleConnected, c.Preferred = true, []Type{Wifi}
		}, Ready, Idle, "wlan0"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := defaults()
			tt.adjust(&cfg)
			inWorldWith(t, cfg, known("home"), func(w *world) {
				w.online("eth0", "10.0.0.7/24", "10.0.0.1")
				a := w.radio()
				w.devices["wlan0"] = a.device
				n := a.hear("home", SecurityPSK)
				if d := w.dhcp["wlan0"]; (d != nil) != (tt.wifi != Idle) {
					t.Fatalf("the wireless service is %s", n.service.State())
				}
				if tt.wifi != Idle {
					w.bind("wlan0", lease("10.1.0.7/24", "10.1.0.1"))
				}
				if wifi, wire := n.service.State(), w.service("eth0").State(); wifi != tt.wifi || wire != tt.wire {
					t.Errorf("wlan0 is %s and eth0 %s, want %s and %s", wifi, wire, tt.wifi, tt.wire)
				}
				if metric := w.defaultMetric(tt.carrier); metric != 0 {
					t.Errorf("the default route of %s is at metric %d", tt.carrier, metric)
				}
			})
		})
	}
}
