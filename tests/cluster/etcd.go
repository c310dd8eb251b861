package main

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

// etcdQuota is etcd's largest recommended database, so that a benchmark does not end in an alarm.
const etcdQuota = 8 << 30

// runEtcd runs a single etcd member for tests: nothing is synced to disk, since a test cluster need not survive a power
// cut. (It does survive a killed process.)
func runEtcd(args []string) int {
	flags := flag.NewFlagSet("etcd", flag.ExitOnError)
	dataDir := flags.String("data-dir", "", "directory of the database")
	clientPort := flags.Int("client-port", 0, "loopback port for clients")
	_ = flags.Parse(args)
	if *dataDir == "" {
		fmt.Fprintln(os.Stderr, "etcd: --data-dir is required")
		return 2
	}
	if err := serveEtcd(*dataDir, *clientPort); err != nil {
		fmt.Fprintln(os.Stderr, "etcd:", err)
		return 1
	}
	return 0
}

func serveEtcd(dataDir string, clientPort int) error {
	config := embed.NewConfig()
	config.Dir = dataDir
	config.Name = "signet-cluster"
	config.UnsafeNoFsync = true
	config.QuotaBackendBytes = etcdQuota
	config.LogLevel = "warn"
	// Left at zero, as NewConfig leaves it, this logs every request as a slow one.
	config.WarningUnaryRequestDuration = embed.DefaultWarningUnaryRequestDuration
	// `up` holds the client port with a bound socket, so that nobody else is given it (see ports.go).
	config.SocketOpts.ReusePort = true

	clients := url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", clientPort)}
	config.ListenClientUrls = []url.URL{clients}
	config.AdvertiseClientUrls = []url.URL{clients}
	// There are no peers, but etcd insists on a peer listener: any free port will do.
	peers := url.URL{Scheme: "http", Host: "127.0.0.1:0"}
	config.ListenPeerUrls = []url.URL{peers}
	config.AdvertisePeerUrls = []url.URL{peers}
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	server, err := embed.StartEtcd(config)
	if err != nil {
		return err
	}
	defer server.Close()
	select {
	case <-server.Server.ReadyNotify():
	case <-time.After(time.Minute):
		return fmt.Errorf("not ready after a minute")
	}

	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-server.Err():
		return err
	}
}
