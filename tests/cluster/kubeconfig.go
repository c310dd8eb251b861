package main

import (
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfigFor embeds everything a client needs, so that the file can be copied anywhere.
func kubeconfigFor(server string, ca []byte, user string, credentials *clientcmdapi.AuthInfo) *clientcmdapi.Config {
	const name = "signet-cluster"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: ca}
	config.AuthInfos[user] = credentials
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: user, Namespace: "default"}
	config.CurrentContext = name
	return config
}

// writeKubeconfig writes with mode 0600: the file holds a credential.
func writeKubeconfig(path string, config *clientcmdapi.Config) error {
	return clientcmd.WriteToFile(*config, path)
}
