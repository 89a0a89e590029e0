package command

import "fmt"

// help prints the table. A single command also gets a frame around it.
func help(s *Session, _ []string) error {
	if !s.Interactive {
		fmt.Fprintln(s.Out, "Usage: connmanctl [[command] [args]]")
	}
	for _, c := range table {
		fmt.Fprintf(s.Out, "%-16s%-22s%s\n", c.name, c.args, c.help)
		for _, o := range c.options {
			fmt.Fprintf(s.Out, "   --%-16s%s\n", o.name, o.help)
		}
	}
	if !s.Interactive {
		fmt.Fprintln(s.Out, "\nNote: arguments and output are considered EXPERIMENTAL for now.")
	}
	return nil
}

func leave(s *Session, _ []string) error {
	s.left = true
	return nil
}
