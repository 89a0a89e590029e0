package main

import (
	"fmt"
	"path"
	"slices"

	"github.com/spf13/cobra"
)

// options are what the command line says; see connman-vpnd(8).
type options struct {
	config     string
	debug      string
	debugging  bool
	plugins    []string // globs, none: all
	noPlugins  []string
	foreground bool
}

// allSources is the glob that --debug means when it is given alone.
const allSources = "*"

// command returns the command line of connman-vpnd, which calls run.
func command(version string, run func(options) error) *cobra.Command {
	var o options
	var showVersion bool // by ourselves: cobra would bring in templates, and so a megabyte
	c := &cobra.Command{
		Use:           program,
		Short:         "Manage VPN connections",
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
			for _, glob := range slices.Concat(o.plugins, o.noPlugins) {
				if _, err := path.Match(glob, ""); err != nil {
					return fmt.Errorf("%q is not a pattern: %w", glob, err)
				}
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
	f.StringSliceVarP(&o.plugins, "plugin", "p", nil, "make only VPNs of types that match `GLOB,...`")
	f.StringSliceVarP(&o.noPlugins, "noplugin", "P", nil, "do without types of VPN that match `GLOB,...`")
	f.BoolVarP(&o.foreground, "nodaemon", "n", false, "stay in the foreground")
	f.BoolVarP(&showVersion, "version", "v", false, "print the version and exit")
	return c
}

// uses reports whether --plugin and --noplugin allow the type of VPN.
func (o options) uses(typ string) bool {
	matches := func(glob string) bool {
		ok, _ := path.Match(glob, typ)
		return ok
	}
	return (len(o.plugins) == 0 || slices.ContainsFunc(o.plugins, matches)) &&
		!slices.ContainsFunc(o.noPlugins, matches)
}
