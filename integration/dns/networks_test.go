//go:build netns

package dns

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// TestTwoNetworks: each network's names are asked there and nowhere else, all
// others in the network of the default service, whichever that is.
func TestTwoNetworks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53}}, place{"office.test", []int{53}})
	home := w.nets[0].serve(53, answers(map[string]string{"www.home.test": "10.80.0.80", "www.test": "192.0.2.1"}))
	office := w.nets[1].serve(53, answers(map[string]string{"www.office.test": "10.81.0.80", "www.test": "192.0.2.2"}))
	must(t, w.nets[1].port.Down())
	w.launch()
	w.untilConnected(1)
	must(t, w.nets[1].port.Up())
	w.untilConnected(2)

	w.untilResolv("search home.test office.test", proxy4, proxy6)
	w.untilDig("10.80.0.80", "www.home.test")
	w.untilDig("10.81.0.80", "www.office.test")
	w.untilDig("192.0.2.1", "www.test")
	if n := home.heard("www.office.test") + office.heard("www.home.test") + office.heard("www.test"); n > 0 {
		t.Errorf("%d questions went astray", n)
	}

	// The default service moves, and with it what the cache held.
	must(t, w.nets[0].port.Down())
	w.untilConnected(1)
	w.untilDig("192.0.2.2", "www.test")
	must(t, w.nets[0].port.Up())
	w.untilConnected(2)
	w.untilDig("10.80.0.80", "www.home.test")
}

// TestServerFails: with the first server gone or silent the second answers, and
// soon nobody waits for the first any more.
func TestServerFails(t *testing.T) {
	for name, silent := range map[string]bool{"gone": false, "silent": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, place{"home.test", []int{53, 54}})
			all := func(question *dns.Msg) *dns.Msg {
				reply := new(dns.Msg).SetReply(question)
				reply.Answer = []dns.RR{addressOf(question.Question[0].Name, "192.0.2.54")}
				return reply
			}
			first := func(*dns.Msg) *dns.Msg { return nil }
			server := w.nets[0].serve(53, first)
			w.nets[0].serve(54, all)
			if !silent {
				server.stop()
			}
			w.start()
			w.untilDig("192.0.2.54", "first.test")
			const names = 30
			var args []string
			for i := range names {
				args = append(args, fmt.Sprintf("n%d.test", i))
			}
			out, err := w.dig(args...)
			must(t, err)
			if n := strings.Count(out, "192.0.2.54"); n != names {
				t.Errorf("%d of %d names resolved:\n%s", n, names, out)
			}
			asked := 0
			for _, name := range args {
				asked += server.heard(name)
			}
			if asked > names/2 {
				t.Errorf("the silent server was asked %d times for %d names", asked, names)
			}
		})
	}
}

// TestUsersServers: what the user sets counts at once, for questions under way
// too; what is no server is dropped.
func TestUsersServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", []int{53, 54}})
	slow := w.nets[0].serve(53, func(question *dns.Msg) *dns.Msg {
		if strings.HasPrefix(question.Question[0].Name, "slow.") {
			return nil
		}
		return answers(map[string]string{"www.test": "192.0.2.1"})(question)
	})
	w.nets[0].serve(54, answers(map[string]string{"www.test": "192.0.2.2", "slow.test": "192.0.2.3"}))
	w.start()
	w.set(0, "Nameservers.Configuration", []string{"10.80.0.53"})
	w.untilDig("192.0.2.1", "www.test")

	waiting, err := w.machine.Start(exec.Command("dig", "+short", "+time=20", "+tries=1", "slow.test"))
	must(t, err)
	w.until(func() error {
		if slow.heard("slow.test") == 0 {
			return fmt.Errorf("the question has not reached the server")
		}
		return nil
	})
	w.set(0, "Nameservers.Configuration", []string{"0.0.0.0", "::", "10.80.0.54", "10.80.0.54"})
	must(t, waiting.Wait(patience))
	w.until(func() error {
		out, err := w.run("grep", "-c", "^192.0.2.3$", waiting.Log)
		if err != nil {
			return fmt.Errorf("the question under way was not asked again: %s, %w", out, err)
		}
		return nil
	})
	w.untilDig("192.0.2.2", "www.test")
	p, err := w.service(0)
	must(t, err)
	if got := p["Nameservers"].Value(); !slices.Equal(got.([]string), []string{"10.80.0.54"}) {
		t.Errorf("Nameservers are %v", got)
	}

	// Back to the network's, and a domain of the user's own.
	w.set(0, "Nameservers.Configuration", []string{})
	w.untilDig("192.0.2.1", "www.test")
	w.set(0, "Domains.Configuration", []string{"test"})
	w.untilResolv("search test", proxy4, proxy6)
	w.untilDig("www.test.\n192.0.2.1", "www") // the proxy searches, too
}

// TestFallbackServers are for networks that name none.
func TestFallbackServers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, place{"home.test", nil})
	must(t, w.nets[0].port.AddAddr(w.nets[0].addr(53).String()+"/32"))
	w.nets[0].serve(53, answers(map[string]string{"www.test": "192.0.2.1"}))
	w.configure("FallbackNameservers=10.80.0.53\n")
	w.start()
	w.untilDig("192.0.2.1", "www.test")
}
