package pki

import (
	"fmt"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Login is how a user proves who it is: a certificate or a token.
type Login struct {
	Pair  Pair
	Token string
}

// Kubeconfig renders a kubeconfig that holds everything it needs.
func Kubeconfig(server string, authority []byte, user string, login Login) ([]byte, error) {
	config := api.NewConfig()
	config.Clusters["lab"] = &api.Cluster{Server: server, CertificateAuthorityData: authority}
	config.AuthInfos[user] = &api.AuthInfo{
		ClientCertificateData: login.Pair.Cert, ClientKeyData: login.Pair.Key, Token: login.Token,
	}
	config.Contexts["lab"] = &api.Context{Cluster: "lab", AuthInfo: user}
	config.CurrentContext = "lab"
	out, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("pki: kubeconfig of %s: %w", user, err)
	}
	return out, nil
}
