package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"

	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	serviceCIDR      = "10.96.0.0/16"
	firstServiceIP   = "10.96.0.1" // the address of Service kubernetes in namespace default
	administrator    = "signet-cluster-admin"
	superusers       = "system:masters"
	tokensFile       = "tokens.csv"
	caFile           = "ca.crt"
	caKeyFile        = "ca.key"
	servingCertFile  = "apiserver.crt"
	servingKeyFile   = "apiserver.key"
	controllerConfig = "kube-controller-manager.kubeconfig"
	schedulerConfig  = "kube-scheduler.kubeconfig"
	kwokConfig       = "kwok.kubeconfig"
	adminConfig      = "kubeconfig"
)

// credentials are what `up` itself and its report need; everything else is in files of the data directory.
type credentials struct {
	server          string
	token           string
	ca              []byte
	serviceAccounts serviceAccountKeys
}

// writeCredentials fills the data directory with certificates, the token of the administrator and the kubeconfigs.
//
// The components are superusers under names of their own: the controller manager would otherwise need a service account
// for each controller before it can start, and the names keep their requests apart in the audit log.
func writeCredentials(o *options, port int) (*credentials, error) {
	in := func(name string) string { return filepath.Join(o.dataDir, name) }
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	servingCert, servingKey, err := ca.server(
		[]string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		[]net.IP{net.IPv4(127, 0, 0, 1), net.ParseIP(firstServiceIP), o.advertiseAddress})
	if err != nil {
		return nil, err
	}
	token, err := newToken()
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		caFile: ca.certPEM, caKeyFile: ca.keyPEM, servingCertFile: servingCert, servingKeyFile: servingKey,
		tokensFile: fmt.Appendf(nil, "%s,%s,%s,%q\n", token, administrator, administrator, superusers),
	} {
		if err := os.WriteFile(in(name), content, 0o600); err != nil {
			return nil, err
		}
	}

	c := &credentials{server: fmt.Sprintf("https://127.0.0.1:%d", port), token: token, ca: ca.certPEM}
	for file, user := range map[string]string{
		controllerConfig: "system:kube-controller-manager", schedulerConfig: "system:kube-scheduler", kwokConfig: "system:kwok",
	} {
		cert, key, err := ca.client(user, superusers)
		if err != nil {
			return nil, err
		}
		auth := &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
		if err := writeKubeconfig(in(file), kubeconfigFor(c.server, c.ca, user, auth)); err != nil {
			return nil, err
		}
	}
	admin := &clientcmdapi.AuthInfo{Token: token}
	for _, path := range []string{in(adminConfig), o.kubeconfig} { // often the same; `expose` relies on the first
		if err := writeKubeconfig(path, kubeconfigFor(c.server, c.ca, administrator, admin)); err != nil {
			return nil, err
		}
	}
	c.serviceAccounts, err = ensureServiceAccountKeys(o.dataDir)
	return c, err
}
