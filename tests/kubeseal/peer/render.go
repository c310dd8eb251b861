package main

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"

	sealed "github.com/bitnami/sealed-secrets/pkg/apis/sealedsecrets/v1alpha1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
)

// A SealedSecret to render: its values, and its spec.template.data. Bytes are base64 in JSON.
type renderCase struct {
	Values   map[string][]byte  `json:"values"`
	Template map[string]*string `json:"template"`
}

// The Secret's data, or why there is none.
type renderResult struct {
	Data  map[string][]byte `json:"data,omitempty"`
	Error string            `json:"error,omitempty"`
}

func render(in, out *os.File) error {
	var cases []renderCase
	if err := json.NewDecoder(in).Decode(&cases); err != nil {
		return err
	}
	// The templates do not care for the size of the key.
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		return err
	}
	results := make([]renderResult, 0, len(cases))
	for _, one := range cases {
		data, err := renderOne(key, one)
		result := renderResult{Data: data}
		if err != nil {
			result.Error = err.Error()
		}
		results = append(results, result)
	}
	return write(out, results)
}

func renderOne(key *rsa.PrivateKey, one renderCase) (map[string][]byte, error) {
	codecs := serializer.NewCodecFactory(runtime.NewScheme())
	secret := &core.Secret{
		ObjectMeta: meta.ObjectMeta{Name: "db", Namespace: "team"},
		Data:       one.Values,
	}
	object, err := sealed.NewSealedSecret(codecs, &key.PublicKey, secret)
	if err != nil {
		return nil, err
	}
	object.Spec.Template.Data = one.Template
	opened, err := object.Unseal(codecs, map[string]*rsa.PrivateKey{"only": key})
	if err != nil {
		return nil, err
	}
	return opened.Data, nil
}
