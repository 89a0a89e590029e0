module net.connman/connmanctl

go 1.26.0

require net.connman/pkg v0.0.0

require (
	github.com/chzyer/readline v1.5.1
	github.com/creack/pty v1.1.24
	github.com/godbus/dbus/v5 v5.2.4
	github.com/google/go-cmp v0.7.0
	github.com/spf13/pflag v1.0.9
	golang.org/x/sys v0.49.0
)

require github.com/BurntSushi/toml v1.6.0 // indirect

replace net.connman/pkg => ../pkg
