package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
)

// options are the flags of `up`. All paths are absolute once parsed, since `up` changes its working directory.
type options struct {
	dataDir          string
	kubeconfig       string
	nodes            int
	port             int
	auditLog         string
	advertiseAddress net.IP
	podAddresses     []string
	featureGates     string
	apiserverArgs    []string
	controllerArgs   []string
	schedulerArgs    []string
	remove           bool
	exitOnStdinEOF   bool
	timeout          time.Duration
}

func parseOptions(args []string) (*options, error) {
	o := &options{}
	flags := pflag.NewFlagSet("up", pflag.ContinueOnError)
	flags.SortFlags = false
	flags.StringVar(&o.dataDir, "data-dir", "", "directory for the database, keys, logs and sockets: new, empty, or of an earlier cluster to continue (default: a new temporary directory)")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "where to write the administrator's kubeconfig (default: kubeconfig in the data directory)")
	flags.IntVar(&o.nodes, "nodes", 3, "number of simulated nodes")
	flags.IntVar(&o.port, "port", 0, "loopback port of the API server (default: a free one)")
	flags.StringVar(&o.auditLog, "audit-log", "", "write an audit log (JSON lines, Metadata level, every request, unbuffered) to this file")
	flags.StringArrayVar(&o.podAddresses, "pod-address", nil, "POD-IP=PORT or POD-IP=HOST:PORT: let a Pod address lead to a process on this machine; repeatable, and see `expose`")
	flags.StringVar(&o.featureGates, "feature-gates", "", "KEY=BOOL,...: for API server, controller manager and scheduler")
	flags.StringArrayVar(&o.apiserverArgs, "apiserver-arg", nil, "one more argument for kube-apiserver; repeatable; wins over the built-in ones")
	flags.StringArrayVar(&o.controllerArgs, "controller-manager-arg", nil, "the same for kube-controller-manager")
	flags.StringArrayVar(&o.schedulerArgs, "scheduler-arg", nil, "the same for kube-scheduler")
	// Nothing ever connects to it; the API server wants one that is not loopback, and looks for a default route without.
	flags.IPVar(&o.advertiseAddress, "advertise-address", net.IPv4(10, 255, 255, 254), "address that the Service kubernetes/default names: any but a loopback one")
	flags.BoolVar(&o.remove, "rm", false, "remove the data directory after a clean stop")
	flags.BoolVar(&o.exitOnStdinEOF, "exit-on-stdin-eof", false, "stop when standard input is closed, so that the cluster ends with whoever holds it")
	flags.DurationVar(&o.timeout, "timeout", 2*time.Minute, "give up if the cluster is not ready by then")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, o.resolvePaths()
}

func (o *options) resolvePaths() (err error) {
	if o.dataDir == "" {
		if o.dataDir, err = os.MkdirTemp("", "signet-cluster-"); err != nil {
			return err
		}
	}
	if o.dataDir, err = filepath.Abs(o.dataDir); err != nil {
		return err
	}
	if o.kubeconfig == "" {
		o.kubeconfig = filepath.Join(o.dataDir, adminConfig)
	}
	if o.kubeconfig, err = filepath.Abs(o.kubeconfig); err != nil {
		return err
	}
	if o.auditLog != "" {
		o.auditLog, err = filepath.Abs(o.auditLog)
	}
	return err
}
