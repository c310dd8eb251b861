package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// auditPolicy records who asked for what, in every stage, and never a body: a body may hold a secret.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
`

const (
	auditPolicyFile  = "audit-policy.yaml"
	egressConfigFile = "egress.yaml"
)

// apiserverArguments: later arguments win, so what the user gave comes last.
func apiserverArguments(o *options, c *credentials, port, etcdPort int) ([]string, error) {
	in := func(name string) string { return filepath.Join(o.dataDir, name) }
	if err := os.WriteFile(in(egressConfigFile), []byte(egressConfig), 0o600); err != nil {
		return nil, err
	}
	args := []string{
		"--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port),
		"--permit-port-sharing=true", // the port is reserved by `up`, see ports.go
		"--advertise-address=" + o.advertiseAddress.String(),
		"--cert-dir=" + in("certificates"),
		"--tls-cert-file=" + in(servingCertFile),
		"--tls-private-key-file=" + in(servingKeyFile),
		"--client-ca-file=" + in(caFile),
		"--token-auth-file=" + in(tokensFile),
		"--authorization-mode=RBAC",
		"--allow-privileged=true",
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", etcdPort),
		"--service-cluster-ip-range=" + serviceCIDR,
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.serviceAccounts.public,
		"--service-account-signing-key-file=" + c.serviceAccounts.private,
		"--egress-selector-config-file=" + in(egressConfigFile),
		// A test wants to see how much it can ask for, not how the defaults of a shared cluster slow it down.
		"--max-requests-inflight=3000",
		"--max-mutating-requests-inflight=1500",
		"--profiling=false",
	}
	if o.auditLog != "" {
		if err := os.WriteFile(in(auditPolicyFile), []byte(auditPolicy), 0o600); err != nil {
			return nil, err
		}
		args = append(args,
			"--audit-policy-file="+in(auditPolicyFile),
			"--audit-log-path="+o.auditLog,
			"--audit-log-format=json",
			"--audit-log-mode=blocking", // written before the request is answered, so that counts are exact
			"--audit-log-maxsize=0",     // no rotation, and the file may be truncated at any time
		)
	}
	return append(append(args, featureGates(o)...), o.apiserverArgs...), nil
}

func controllerManagerArguments(o *options, c *credentials) []string {
	config := filepath.Join(o.dataDir, controllerConfig)
	args := []string{
		"--kubeconfig=" + config,
		"--authentication-kubeconfig=" + config,
		"--authorization-kubeconfig=" + config,
		"--service-account-private-key-file=" + c.serviceAccounts.private,
		"--root-ca-file=" + filepath.Join(o.dataDir, caFile),
		"--cluster-signing-cert-file=" + filepath.Join(o.dataDir, caFile),
		"--cluster-signing-key-file=" + filepath.Join(o.dataDir, caKeyFile),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
		"--concurrent-namespace-syncs=20",
		// kwok tells of its nodes every few minutes. With the default of 50 s they would be lost for a moment every 50 s,
		// and their Pods with them.
		"--node-monitor-grace-period=24h",
	}
	return append(append(args, featureGates(o)...), o.controllerArgs...)
}

func schedulerArguments(o *options) []string {
	config := filepath.Join(o.dataDir, schedulerConfig)
	args := []string{
		"--kubeconfig=" + config,
		"--authentication-kubeconfig=" + config,
		"--authorization-kubeconfig=" + config,
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=1000",
		"--kube-api-burst=2000",
	}
	return append(append(args, featureGates(o)...), o.schedulerArgs...)
}

func kwokArguments(o *options, stages string) []string {
	return []string{
		"--kubeconfig=" + filepath.Join(o.dataDir, kwokConfig),
		"--config=" + stages,
		"--manage-all-nodes=true",
		"--cidr=" + simulatedPodCIDR,
	}
}

func featureGates(o *options) []string {
	if o.featureGates == "" {
		return nil
	}
	return []string{"--feature-gates=" + o.featureGates}
}
