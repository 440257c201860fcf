// Command rights checks that service accounts may do what they have done in
// labs and nothing else; see package rights.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/lintel-lb/lintel/lab/rights"
)

func main() {
	config := flag.String("config", "config", "`directory` of the manifests with the RBAC objects")
	agent := flag.String("agent", "lintel/", "`prefix` of the user agent of the programs")
	verbose := flag.Bool("v", false, "list the rights and how often each was used")
	flag.Parse()
	if err := run(*config, *agent, *verbose, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(config, agent string, verbose bool, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: rights [FLAGS] DIRECTORY-OF-AUDIT-LOGS")
	}
	granted, err := rights.Grants(config)
	if err != nil {
		return err
	}
	report, err := rights.Compare(granted, args[0], agent)
	if err != nil {
		return err
	}
	if verbose {
		fmt.Print(report)
	}
	fmt.Printf("%d rights, %d of them used, in %d requests; %d refused\n", len(granted), len(report.Used), report.Requests, len(report.Missing))
	return report.Err()
}
