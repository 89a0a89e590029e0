package main

import (
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"
)

// options are what the command line says; see connmand(8).
type options struct {
	config      string
	debug       string
	debugging   bool
	devices     []string // globs, none: all
	noDevices   []string
	plugins     []string // globs, none: all
	noPlugins   []string
	wifiDrivers string
	foreground  bool
	noDNSProxy  bool
}

// defaultWifiDrivers are the drivers that wpa_supplicant tries.
const defaultWifiDrivers = "nl80211,wext"

// allSources is the glob that --debug means when it is given alone.
const allSources = "*"

// command returns the command line of connmand, which calls run.
func command(version string, run func(options) error) *cobra.Command {
	var o options
	var showVersion bool // cobra's own would cost a megabyte and more of templates
	c := &cobra.Command{
		Use:           "connmand",
		Short:         "Manage the machine's network connections",
		Args:          cobra.MaximumNArgs(1),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(c *cobra.Command, rest []string) error {
			if showVersion {
				_, err := fmt.Fprintln(c.OutOrStdout(), version)
				return err
			}
			o.debugging = c.Flags().Changed("debug")
			switch {
			case len(rest) == 1 && o.debug == allSources:
				o.debug = rest[0] // "-d GLOB" in two words
			case len(rest) > 0:
				return fmt.Errorf("unknown argument %q", rest[0])
			}
			if err := o.check(); err != nil {
				return err
			}
			return run(o)
		},
	}
	c.CompletionOptions.DisableDefaultCmd = true
	f := c.Flags()
	f.SortFlags = false
	f.StringVarP(&o.config, "config", "c", "", "read configuration from `FILE`")
	f.StringVarP(&o.debug, "debug", "d", "", "log at debug level, only what `GLOB:...` names if given")
	f.Lookup("debug").NoOptDefVal = allSources
	f.StringSliceVarP(&o.devices, "device", "i", nil, "handle only interfaces that match `GLOB,...`")
	f.StringSliceVarP(&o.noDevices, "nodevice", "I", nil, "leave interfaces alone that match `GLOB,...`")
	f.StringSliceVarP(&o.plugins, "plugin", "p", nil, "use only parts that match `GLOB,...`")
	f.StringSliceVarP(&o.noPlugins, "noplugin", "P", nil, "do without parts that match `GLOB,...`")
	f.StringVarP(&o.wifiDrivers, "wifi", "W", defaultWifiDrivers, "have wpa_supplicant use `DRIVER,...`")
	f.BoolVarP(&o.foreground, "nodaemon", "n", false, "stay in the foreground")
	f.Bool("nobacktrace", false, "accepted for compatibility: a crash prints where it happened in any case")
	f.BoolVarP(&o.noDNSProxy, "nodnsproxy", "r", false, "do not answer DNS queries on this machine")
	f.BoolVarP(&showVersion, "version", "v", false, "print the version and exit")
	return c
}

func (o options) check() error {
	for _, glob := range slices.Concat(o.devices, o.noDevices, o.plugins, o.noPlugins) {
		if _, err := path.Match(glob, ""); err != nil {
			return fmt.Errorf("%q is not a pattern: %w", glob, err)
		}
	}
	return nil
}

// uses reports whether --plugin and --noplugin let the part called name run.
func (o options) uses(name string) bool {
	matches := func(glob string) bool {
		ok, _ := path.Match(glob, name)
		return ok
	}
	return (len(o.plugins) == 0 || slices.ContainsFunc(o.plugins, matches)) &&
		!slices.ContainsFunc(o.noPlugins, matches)
}
