package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	pkg := flag.String("package", "", "name of the package to write")
	out := flag.String("out", "", "file to write")
	flag.Parse()
	if err := run(*pkg, *out, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "dbusgen:", err)
		os.Exit(1)
	}
}

func run(pkg, out string, files []string) error {
	source, err := bindings(pkg, files)
	if err != nil {
		return err
	}
	return os.WriteFile(out, source, 0o644)
}

// bindings returns the bindings of all interfaces in files.
func bindings(pkg string, files []string) ([]byte, error) {
	var all []iface
	for _, file := range files {
		interfaces, err := readInterfaces(file)
		if err != nil {
			return nil, err
		}
		all = append(all, interfaces...)
	}
	return generate(pkg, all)
}
