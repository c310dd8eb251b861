package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// authority is the cluster's certificate authority. It is made anew at every start: nothing outlives the certificates,
// and a cluster that is started again from its data directory writes a new kubeconfig anyway.
type authority struct {
	cert    *x509.Certificate
	key     crypto.Signer
	certPEM []byte
	keyPEM  []byte
}

// certificateLife is long enough for any test or demo, and short enough to make a leaked key worthless soon.
const certificateLife = 30 * 24 * time.Hour

func newAuthority() (*authority, error) {
	template := certificateTemplate(pkix.Name{CommonName: "signet-cluster"})
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key, certPEM: encodePEM("CERTIFICATE", der), keyPEM: keyPEM}, nil
}

// server issues the API server's certificate, for every name it is called by.
func (a *authority) server(names []string, addresses []net.IP) (certPEM, keyPEM []byte, err error) {
	template := certificateTemplate(pkix.Name{CommonName: "kube-apiserver"})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	template.DNSNames = names
	template.IPAddresses = addresses
	return a.issue(template)
}

// client issues a certificate that the API server takes for the given user and group.
func (a *authority) client(user, group string) (certPEM, keyPEM []byte, err error) {
	template := certificateTemplate(pkix.Name{CommonName: user, Organization: []string{group}})
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return a.issue(template)
}

func (a *authority) issue(template *x509.Certificate) (certPEM, keyPEM []byte, err error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	return encodePEM("CERTIFICATE", der), keyPEM, nil
}

func certificateTemplate(subject pkix.Name) *x509.Certificate {
	serial, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, encodePEM("PRIVATE KEY", der), nil
}

// publicPEM is the public half of a private key made by newKey.
func publicPEM(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	return encodePEM("PUBLIC KEY", der), nil
}

func encodePEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// serviceAccountKeys are the files that sign and check service-account tokens. They are kept over a restart, so that
// tokens stay good.
type serviceAccountKeys struct{ private, public string }

func ensureServiceAccountKeys(dir string) (serviceAccountKeys, error) {
	files := serviceAccountKeys{private: filepath.Join(dir, "service-account.key"), public: filepath.Join(dir, "service-account.pub")}
	if _, err := os.Stat(files.public); err == nil {
		return files, nil
	}
	key, keyPEM, err := newKey()
	if err != nil {
		return files, err
	}
	public, err := publicPEM(key)
	if err != nil {
		return files, err
	}
	if err := os.WriteFile(files.private, keyPEM, 0o600); err != nil {
		return files, err
	}
	return files, os.WriteFile(files.public, public, 0o600)
}

func newToken() (string, error) {
	raw := make([]byte, 24)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("random: %w", err)
	}
	return hex.EncodeToString(raw), nil
}
