# make build      the programs, into bin/
# make demo       watch a machine come online, in a world of its own
# make test       everything; as root also the tests in network namespaces and
#                 virtual machines (make netns, make vm)
# make bench      measure against other network managers (root)
# make install    DESTDIR and PREFIX as usual
# make selinux    the policy module for machines where SELinux is enforced

PREFIX  ?= /usr/local
DESTDIR ?=
# The bus reads policies below /usr and /etc, wherever else things are.
ifeq ($(PREFIX),/usr)
SYSCONFDIR ?= /etc
POLICYDIR  ?= /usr/share/dbus-1/system.d
else
SYSCONFDIR ?= /etc
POLICYDIR  ?= $(SYSCONFDIR)/dbus-1/system.d
endif
SBINDIR     ?= $(PREFIX)/sbin
BINDIR      ?= $(PREFIX)/bin
LIBEXECDIR  ?= $(PREFIX)/libexec/connman
MANDIR      ?= $(PREFIX)/share/man
DOCDIR      ?= $(PREFIX)/share/doc/connman
UNITDIR     ?= $(PREFIX)/lib/systemd/system
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
SERVICESDIR ?= $(PREFIX)/share/dbus-1/system-services
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d

VERSION  := $(shell cat VERSION)
MODULES  := $(shell sed -n 's|^\t\./||p' go.work)
PACKAGES := $(MODULES:%=./%/...)
PROGRAMS := bin/connmand bin/connman-vpnd bin/connmanctl bin/connmand-wait-online bin/connman-dns-tls bin/connman-vpn-notify
# Where tests need root; the rest has run in unit.
NETNS    := $(sort $(dir $(shell grep -rl --include='*_test.go' '^//go:build netns' $(MODULES))))
# What needs a kernel that the machine doesn't have runs in a virtual one.
VM       := $(sort $(dir $(shell grep -rl --include='*_test.go' '^//go:build vm' $(MODULES))))
UNITS    := connman.service connman-wait-online.service connman-vpn.service
BUSNAMES := net.connman net.connman.vpn
POLICIES := connman.conf connman-vpn.conf
PAGES    := $(notdir $(wildcard docs/*.[158]))
ROOT     := $(filter 0,$(shell id -u))

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

# Reference daemons: unpacked here, or wherever this points to.
export CONNMAN_REFERENCE ?= $(CURDIR)/build/peers
export CONNMAN_TEST_PEERS ?= $(CONNMAN_REFERENCE)/isc-dhcp-server/usr/sbin
# The programs under test.
export CONNMAN_BIN ?= $(CURDIR)/bin

.PHONY: build demo test unit netns vm lint gen bench peers install uninstall clean tools $(PROGRAMS)

build: $(PROGRAMS)

bin/connmand: PACKAGE = ./connmand
bin/connman-vpnd: PACKAGE = ./vpnd
bin/connmanctl: PACKAGE = ./connmanctl
bin/connmand-wait-online: PACKAGE = ./connmanctl/cmd/connmand-wait-online
bin/connman-dns-tls: PACKAGE = ./connmand/cmd/connman-dns-tls
bin/connman-vpn-notify: PACKAGE = ./vpnd/cmd/connman-vpn-notify

# The go command knows best what has to be built again.
$(PROGRAMS):
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION) -X main.libexecDir=$(LIBEXECDIR)" -o $@ $(PACKAGE)

# install-missing PROGRAM PACKAGE…: gets a program that isn't there, or says
# how to.
define install-missing
@command -v $(1) >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $(2)"; apt-get update -qq && \
		DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(2) >/dev/null; \
	else \
		echo "missing: $(1); install it: apt-get install $(2)" >&2; exit 1; \
	fi
endef

demo: build
	$(call install-missing,dbus-daemon,dbus-daemon)
	@CGO_ENABLED=0 go run ./integration/demo

# The race detector needs a C compiler.
tools:
	$(call install-missing,gcc,gcc libc6-dev)
	$(call install-missing,dbus-daemon,dbus-daemon)

test: lint peers unit netns vm

# Tests wait more than they work: there may be more of them than processors.
unit: tools
	go test -race -p 4 -parallel 8 $(PACKAGES)

ifdef ROOT
peers:
	integration/peers.sh $(CONNMAN_REFERENCE)

netns: tools peers build
	go test -race -tags netns -p 1 -parallel 8 -timeout 25m $(NETNS:%/=./%)

# What those tests need of the kernel.
GUEST_MODULES := wireguard l2tp_ppp ppp_async ppp_synctty ppp_mppe

# VMRUN runs a package's tests in a virtual machine with radios.
VMRUN = '$(CURDIR)/build/vmrun -timeout 32m -module "mac80211_hwsim radios=0" $(GUEST_MODULES:%=-module %)'

.PHONY: vmrun
vmrun:
	go build -o build/vmrun ./integration/vm/vmrun

vm: tools peers build vmrun
	go test -tags vm -timeout 20m -exec $(VMRUN) $(VM:%/=./%)

bench: peers build vmrun
	go run ./integration/bench
	go test -tags vm -timeout 30m -run '^$$' -bench . -benchtime 1x -exec $(VMRUN) ./integration/wifi ./integration/wireguard
else
peers netns vm bench:
	@echo '**********************************************************************'
	@echo '** NOT RUN: "$@" needs root, for namespaces, real daemons and virtual machines.'
	@echo '** Run it with: sudo make $@'
	@echo '**********************************************************************'
endif

# What is generated must be what is committed; units must satisfy systemd.
lint: gen-check units-check build/selinux/connman-task.pp
	@unformatted=$$(gofmt -l $(MODULES)); if [ -n "$$unformatted" ]; then echo "not formatted: $$unformatted"; exit 1; fi
	go vet -tags netns,vm $(PACKAGES)
	go run $(STATICCHECK) -tags netns,vm $(PACKAGES)

gen:
	cd pkg && go generate ./...

.PHONY: gen-check units-check
gen-check:
	@rm -rf build/api && mkdir -p build && cp -r pkg/api build/api
	@$(MAKE) --no-print-directory -s gen
	@diff -r build/api pkg/api || { echo 'pkg/api was stale: commit what "make gen" made of api/'; exit 1; }

units-check:
	$(call install-missing,systemd-analyze,systemd)
	@rm -rf build/root && $(MAKE) --no-print-directory -s install-files DESTDIR=$(CURDIR)/build/root PREFIX=/usr
	@mkdir -p build/root/usr/sbin && for p in connmand connmand-wait-online connman-vpnd; do \
		printf '#!/bin/sh\n' >build/root/usr/sbin/$$p; chmod 755 build/root/usr/sbin/$$p; done
	@integration/verify-units.sh build/root/usr

# For machines where SELinux is enforced.
.PHONY: selinux
selinux: build/selinux/connman-task.pp
	@echo 'install it: semodule -i $<'

build/selinux/connman-task.pp: selinux/connman-task.te
	$(call install-missing,checkmodule,checkpolicy)
	$(call install-missing,semodule_package,semodule-utils)
	@mkdir -p $(@D)
	checkmodule -M -m -o $(@:.pp=.mod) $<
	semodule_package -o $@ -m $(@:.pp=.mod)

install: build install-files
	install -D -m 755 -t $(DESTDIR)$(SBINDIR) bin/connmand bin/connman-vpnd bin/connmand-wait-online
	install -D -m 755 -t $(DESTDIR)$(BINDIR) bin/connmanctl
	install -D -m 755 -t $(DESTDIR)$(LIBEXECDIR) bin/connman-dns-tls bin/connman-vpn-notify

.PHONY: install-files
install-files:
	install -d $(DESTDIR)$(UNITDIR) $(DESTDIR)$(SERVICESDIR)
	for unit in $(UNITS); do sed 's|@SBINDIR@|$(SBINDIR)|' systemd/$$unit >$(DESTDIR)$(UNITDIR)/$$unit || exit; done
	for name in $(BUSNAMES); do sed 's|@SBINDIR@|$(SBINDIR)|' systemd/$$name.service >$(DESTDIR)$(SERVICESDIR)/$$name.service || exit; done
	install -D -m 644 -t $(DESTDIR)$(POLICYDIR) $(POLICIES:%=systemd/%)
	install -D -m 644 systemd/connman_resolvconf.conf $(DESTDIR)$(TMPFILESDIR)/connman_resolvconf.conf
	for page in $(PAGES); do \
		install -D -m 644 -t $(DESTDIR)$(MANDIR)/man$${page##*.} docs/$$page || exit; done
	install -D -m 644 connmanctl/completion/connmanctl.bash $(DESTDIR)$(BASHCOMPDIR)/connmanctl
	install -D -m 644 -t $(DESTDIR)$(ZSHCOMPDIR) connmanctl/completion/_connmanctl
	install -D -m 644 -t $(DESTDIR)$(FISHCOMPDIR) connmanctl/completion/connmanctl.fish
	install -D -m 644 -t $(DESTDIR)$(DOCDIR) README.md LICENSE
	[ -e $(DESTDIR)$(SYSCONFDIR)/connman/main.conf ] || install -D -m 644 docs/main.conf $(DESTDIR)$(SYSCONFDIR)/connman/main.conf

# Configuration and state are the administrator's: they stay.
uninstall:
	rm -f $(addprefix $(DESTDIR)$(SBINDIR)/,connmand connman-vpnd connmand-wait-online) $(DESTDIR)$(BINDIR)/connmanctl
	rm -f $(DESTDIR)$(LIBEXECDIR)/connman-dns-tls $(DESTDIR)$(LIBEXECDIR)/connman-vpn-notify
	rm -f $(UNITS:%=$(DESTDIR)$(UNITDIR)/%) $(BUSNAMES:%=$(DESTDIR)$(SERVICESDIR)/%.service)
	rm -f $(POLICIES:%=$(DESTDIR)$(POLICYDIR)/%)
	rm -f $(DESTDIR)$(TMPFILESDIR)/connman_resolvconf.conf
	for page in $(PAGES); do rm -f $(DESTDIR)$(MANDIR)/man$${page##*.}/$$page; done
	rm -f $(DESTDIR)$(BASHCOMPDIR)/connmanctl $(DESTDIR)$(ZSHCOMPDIR)/_connmanctl $(DESTDIR)$(FISHCOMPDIR)/connmanctl.fish
	rm -rf $(DESTDIR)$(DOCDIR)

clean:
	rm -rf bin build/root build/selinux
