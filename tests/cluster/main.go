// signet-cluster is a Kubernetes control plane in one binary: etcd, the API server, the controller manager, the
// scheduler, simulated kubelets (kwok) and kubectl, linked from Go modules. `up` starts all of them as child processes
// on free loopback ports, without containers, root or anything installed. Signet's tests, benchmarks and demo run on it.
package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// subcommands maps a name to what it runs. Each returns the exit code of the process.
var subcommands = map[string]func(args []string) int{
	"up":                      runUp,
	"expose":                  runExpose,
	"etcd":                    runEtcd,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kube-scheduler":          runScheduler,
	"kwok":                    runKwok,
	"kubectl":                 runKubectl,
}

func main() {
	dieWithParent()
	// A process named after a subcommand runs it: `up` starts its children so, since clients call themselves by the name
	// of their process in the User-Agent, and a link `kubectl` works where a script expects kubectl.
	if run, ok := subcommands[filepath.Base(os.Args[0])]; ok {
		os.Exit(run(os.Args[1:]))
	}
	if len(os.Args) < 2 {
		usage(os.Stderr)
		os.Exit(2)
	}
	name, args := os.Args[1], os.Args[2:]
	if name == "help" || name == "-h" || name == "--help" {
		usage(os.Stdout)
		return
	}
	run, ok := subcommands[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "signet-cluster: unknown subcommand %q\n", name)
		usage(os.Stderr)
		os.Exit(2)
	}
	os.Exit(run(args))
}

func usage(w io.Writer) {
	fmt.Fprintln(w, "usage: signet-cluster SUBCOMMAND [FLAGS]")
	fmt.Fprintln(w, "\n  up       start a cluster and stay in the foreground (up --help)")
	fmt.Fprintln(w, "  expose   let a Service of a cluster lead to a process on this machine (expose --help)")
	fmt.Fprintln(w, "\nparts, with their own flags:")
	for _, name := range slices.Sorted(maps.Keys(subcommands)) {
		if name != "up" && name != "expose" {
			fmt.Fprintln(w, "  "+name)
		}
	}
}
