package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"
)

// report is the line on standard output that says the cluster is ready.
type report struct {
	Kubeconfig   string         `json:"kubeconfig"`
	Server       string         `json:"server"`
	PID          int            `json:"pid"`
	ReadySeconds float64        `json:"ready_seconds"`
	DataDir      string         `json:"data_dir"`
	Token        string         `json:"token"`
	CAFile       string         `json:"ca_file"`
	Etcd         string         `json:"etcd"`
	PodAddresses string         `json:"pod_addresses"`
	AuditLog     string         `json:"audit_log,omitempty"`
	Components   map[string]int `json:"components"`
}

// runUp starts a cluster and keeps it until a signal, the end of standard input (if asked for) or the death of a part.
func runUp(args []string) int {
	o, err := parseOptions(args)
	if errors.Is(err, pflag.ErrHelp) {
		return 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "signet-cluster up:", err)
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer cancel()
	if o.exitOnStdinEOF {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	if err := up(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "signet-cluster up:", err)
		return 1
	}
	return 0
}

func up(ctx context.Context, o *options) error {
	began := time.Now()
	say := func(format string, values ...any) {
		fmt.Fprintf(os.Stderr, "signet-cluster: %5.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, values...))
	}
	lock, err := claimDataDir(o.dataDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := os.Chdir(o.dataDir); err != nil { // see egressConfig
		return err
	}
	children, err := newFamily(o.dataDir)
	if err != nil {
		return err
	}

	err = run(ctx, o, children, began, say)
	children.stop()
	if ctx.Err() != nil {
		err = nil // asked to stop
	}
	if err == nil && o.remove {
		err = os.RemoveAll(o.dataDir)
	}
	say("stopped")
	return err
}

// run returns when the context ends or a child does.
func run(ctx context.Context, o *options, children *family, began time.Time, say func(string, ...any)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case c := <-children.exited:
			cancel(c.failure())
		case <-ctx.Done():
		}
	}()
	err := start(ctx, o, children, began, say)
	if err == nil {
		<-ctx.Done()
		err = ctx.Err()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx) // a dead child explains more than the failed request that noticed it
	}
	return err
}

func start(ctx context.Context, o *options, children *family, began time.Time, say func(string, ...any)) error {
	etcdPort, err := reservePort(0)
	if err != nil {
		return err
	}
	port, err := reservePort(o.port)
	if err != nil {
		return err
	}
	// The reservations are kept as long as this process lives.
	if err := preparePodAddresses(o.podAddresses); err != nil {
		return err
	}
	if err := serveEgress(); err != nil {
		return err
	}
	if _, err := children.start("etcd", "--data-dir="+filepath.Join(o.dataDir, "etcd"), fmt.Sprintf("--client-port=%d", etcdPort.Port)); err != nil {
		return err
	}
	creds, err := writeCredentials(o, port.Port)
	if err != nil {
		return err
	}
	apiserverArgs, err := apiserverArguments(o, creds, port.Port, etcdPort.Port)
	if err != nil {
		return err
	}
	if _, err := children.start("kube-apiserver", apiserverArgs...); err != nil {
		return err
	}
	say("started etcd and kube-apiserver, logs in %s", filepath.Join(o.dataDir, "logs"))

	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not ready after %s", o.timeout))
	defer cancel()
	client, err := newClient(creds)
	if err != nil {
		return err
	}
	if err := waitForAPIServer(ctx, client); err != nil {
		return err
	}
	say("%s answers", creds.server)

	stages, err := writeStages(o.dataDir)
	if err != nil {
		return err
	}
	for name, args := range map[string][]string{
		"kube-controller-manager": controllerManagerArguments(o, creds),
		"kube-scheduler":          schedulerArguments(o),
		"kwok":                    kwokArguments(o, stages),
	} {
		if _, err := children.start(name, args...); err != nil {
			return err
		}
	}
	if err := createNodes(ctx, client, o.nodes); err != nil {
		return err
	}
	if err := waitForReady(ctx, client, o.nodes, say); err != nil {
		return err
	}
	say("ready: export KUBECONFIG=%s", o.kubeconfig)

	r := report{
		Kubeconfig: o.kubeconfig, Server: creds.server, PID: os.Getpid(), DataDir: o.dataDir, Token: creds.token,
		ReadySeconds: float64(time.Since(began).Milliseconds()) / 1000,
		CAFile:       filepath.Join(o.dataDir, caFile), PodAddresses: filepath.Join(o.dataDir, podAddressesFile),
		Etcd:     fmt.Sprintf("http://127.0.0.1:%d", etcdPort.Port),
		AuditLog: o.auditLog, Components: map[string]int{},
	}
	for _, c := range children.children {
		r.Components[c.name] = c.cmd.Process.Pid
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

// preparePodAddresses starts the mapping file anew: processes of an earlier run are gone.
func preparePodAddresses(mappings []string) error {
	if err := os.WriteFile(podAddressesFile, nil, 0o600); err != nil {
		return err
	}
	for _, mapping := range mappings {
		ip, target, ok := strings.Cut(mapping, "=")
		if !ok {
			return fmt.Errorf("--pod-address %q is not POD-IP=PORT", mapping)
		}
		if err := mapPodAddress(podAddressesFile, ip, target); err != nil {
			return fmt.Errorf("--pod-address: %w", err)
		}
	}
	return nil
}
