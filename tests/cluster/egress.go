package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// The API server will not proxy a Service to a loopback address, and the addresses of simulated Pods lead nowhere. So it
// is told to reach the "cluster" network through an HTTP CONNECT proxy on a Unix socket, and that proxy, in this
// file, knows which Pod address stands for which process on this machine.

const (
	egressSocket = "egress.sock"
	// podAddressesFile holds one mapping a line, "POD-IP PORT" or "POD-IP HOST:PORT". It is read for every
	// connection, so a test can write to it at any time; the last line for an address counts.
	podAddressesFile = "pod-addresses"
)

// egressConfig tells the API server about the proxy. The path is relative to its working directory, the data
// directory, because a Unix socket's path must be short and a data directory's need not be.
const egressConfig = `apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
- name: cluster
  connection:
    proxyProtocol: HTTPConnect
    transport:
      uds:
        udsName: ` + egressSocket + "\n"

// serveEgress answers the API server's CONNECT requests. The working directory must be the data directory.
func serveEgress() error {
	if err := os.Remove(egressSocket); err != nil && !os.IsNotExist(err) {
		return err
	}
	listener, err := net.Listen("unix", egressSocket)
	if err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go tunnel(connection)
		}
	}()
	return nil
}

func tunnel(client net.Conn) {
	defer client.Close()
	reader := bufio.NewReader(client)
	request, err := http.ReadRequest(reader)
	if err != nil || request.Method != http.MethodConnect {
		refuse(client, http.StatusBadRequest, "only CONNECT is served here")
		return
	}
	target, err := lookUpPodAddress(request.Host)
	if err != nil {
		refuse(client, http.StatusBadGateway, err.Error())
		return
	}
	backend, err := net.Dial("tcp", target)
	if err != nil {
		refuse(client, http.StatusBadGateway, err.Error())
		return
	}
	defer backend.Close()
	if _, err := io.WriteString(client, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}

	finished := make(chan struct{}, 2)
	pipe := func(to net.Conn, from io.Reader) {
		_, _ = io.Copy(to, from)
		finished <- struct{}{}
	}
	go pipe(backend, reader)
	go pipe(client, backend)
	<-finished // closing both connections ends the other direction
}

func refuse(client net.Conn, status int, reason string) {
	fmt.Fprintf(client, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\n\r\n", status, strings.ReplaceAll(reason, "\n", " "))
}

// lookUpPodAddress maps "POD-IP:PORT" to the address of a local process. The Pod's port is not looked at: one address,
// one process. An address that nobody mapped is refused: nothing a cluster does may leave the machine by accident.
func lookUpPodAddress(wanted string) (string, error) {
	host, _, err := net.SplitHostPort(wanted)
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(podAddressesFile)
	if err != nil {
		return "", err
	}
	target := ""
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 2 && fields[0] == host {
			target = fields[1]
		}
	}
	switch {
	case target == "":
		return "", fmt.Errorf("no process is mapped to Pod address %s in %s", host, podAddressesFile)
	case !strings.Contains(target, ":"):
		target = "127.0.0.1:" + target
	}
	return target, nil
}

// mapPodAddress appends a mapping, in one write so that writers need no lock.
func mapPodAddress(file, podIP, target string) error {
	if net.ParseIP(podIP) == nil {
		return fmt.Errorf("%q is not an IP address", podIP)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(f, "%s %s\n", podIP, target); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
