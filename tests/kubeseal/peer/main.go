// Command peer runs Sealed Secrets' own code on what the tests and benchmarks give it, so that Signet is held against the
// real thing and not against our reading of it.
//
// usage: peer render < CASES > RESULTS
//
//	peer open SEALED KEY > RESULT
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

func run(words []string) error {
	switch {
	case len(words) == 1 && words[0] == "render":
		return render(os.Stdin, os.Stdout)
	case len(words) == 3 && words[0] == "open":
		return open(words[1], words[2], os.Stdout)
	}
	return fmt.Errorf("usage: peer render < CASES | peer open SEALED KEY")
}

func write(out *os.File, value any) error {
	return json.NewEncoder(out).Encode(value)
}
