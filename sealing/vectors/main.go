// Command vectors is a second, independent implementation of sealed format v2, on Go's standard library alone. It makes the
// known-answer vectors, and opens what Signet seals.
//
//	go run . make          writes vectors to standard output
//	go run . check FILE    opens every vector of a file
//	go run . make-keyset   writes a key set document with the keys that signed it
//	go run . check-keyset  reads a key set document and writes who signed, who endorsed whom and who is compromised
//	go run . open          reads {"identities": [...], "object": {...}} and writes the opened data, base64
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
)

// vector is one object with everything that an implementation computes on the way.
type vector struct {
	Name           string            `json:"name"`
	Identity       string            `json:"identity"`
	Recipient      string            `json:"recipient"`
	KeyID          string            `json:"keyId"`
	Object         sealedSecret      `json:"object"`
	Header         string            `json:"header"`
	DataKey        string            `json:"dataKey"`
	TemplateDigest string            `json:"templateDigest"`
	AAD            map[string]string `json:"aad"`
	Data           map[string][]byte `json:"data"`
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vectors:", err)
		os.Exit(1)
	}
}

func random(size int) []byte {
	out := make([]byte, size)
	must(rand.Read(out))
	return out
}

func makeVector(name, scope, suite string, more bool, t *template, values map[string][]byte) vector {
	id := identity{suite, random(32)}
	recipients := []identity{id}
	if more {
		recipients = append(recipients, identity{suite, random(32)})
	}
	slices.SortFunc(recipients, func(a, b identity) int { return bytes.Compare([]byte(keyID(a)), []byte(keyID(b))) })
	object := sealedSecret{APIVersion: "signet.dev/v1alpha1", Kind: "SealedSecret", Metadata: metadata{"db", "team"}}
	object.Spec.Scope, object.Spec.Template = scope, t
	switch scope {
	case "Strict":
		object.Spec.SealedFor = &metadata{"db", "team"}
	case "Namespace":
		object.Spec.SealedFor = &metadata{"", "team"}
	}
	key := dataKey{ID: hex.EncodeToString(random(8))}
	for _, recipient := range recipients {
		key.Recipients = append(key.Recipients, keyID(recipient))
	}
	secret, header := random(32), object.header(key)
	key.Age = base64Text(ageEncrypt(append(slices.Clone(header), secret...), recipients))
	object.Spec.DataKeys = []dataKey{key}
	object.Spec.Values = map[string]string{}
	out := vector{
		Name: name, Identity: id.text(), Recipient: id.recipient(), KeyID: keyID(id),
		Header: hex.EncodeToString(header), DataKey: hex.EncodeToString(secret),
		TemplateDigest: hex.EncodeToString(t.digest()), AAD: map[string]string{},
	}
	for name, value := range values {
		object.Spec.Values[name] = object.sealValue(secret, key.ID, name, value)
		out.AAD[name] = hex.EncodeToString(object.aad(name))
	}
	out.Object, out.Data = object, must(object.open([]identity{id}))
	return out
}

func makeAll() []vector {
	yes := true
	whole := &template{Type: "example.com/db", Immutable: &yes}
	whole.Metadata.Labels = map[string]string{"app": "db", "app.kubernetes.io/part-of": "shop"}
	whole.Metadata.Annotations = map[string]string{"note": "ü"}
	whole.Metadata.Finalizers = []string{"example.com/b", "example.com/a"}
	whole.Data = map[string]string{"url": "db://u:${password}@h/$${x}", "plain": "$ {text}"}
	whole.Omit = []string{"password"}
	values := map[string][]byte{
		"password": []byte("hunter2"), "empty": {}, "binary": {0, 255, 10}, "28": bytes.Repeat([]byte{'x'}, 28),
		"29": bytes.Repeat([]byte{'x'}, 29),
	}
	var out []vector
	for _, suite := range []string{"mlkem768x25519", "X25519"} {
		for _, scope := range []string{"Strict", "Namespace", "Cluster"} {
			out = append(out, makeVector(suite+" "+scope, scope, suite, false, nil, values))
		}
		out = append(out, makeVector(suite+" whole template, two recipients", "Strict", suite, true, whole, values))
	}
	return out
}

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "make":
		write(map[string]any{"vectors": makeAll()})
	case len(os.Args) == 2 && os.Args[1] == "make-keyset":
		write(makeKeySet())
	case len(os.Args) == 2 && os.Args[1] == "check-keyset":
		write(checkKeySet(must(io.ReadAll(os.Stdin))))
	case len(os.Args) == 3 && os.Args[1] == "check":
		var file struct{ Vectors []vector }
		check(json.Unmarshal(must(os.ReadFile(os.Args[2])), &file))
		for _, v := range file.Vectors {
			data := must(v.Object.open([]identity{must(parseIdentity(v.Identity))}))
			if string(must(json.Marshal(data))) != string(must(json.Marshal(v.Data))) {
				check(fmt.Errorf("%s: other data", v.Name))
			}
		}
		fmt.Println(len(file.Vectors), "vectors open")
	case len(os.Args) == 2 && os.Args[1] == "open":
		var input struct {
			Identities []string
			Object     sealedSecret
		}
		check(json.Unmarshal(must(io.ReadAll(os.Stdin)), &input))
		var ids []identity
		for _, text := range input.Identities {
			ids = append(ids, must(parseIdentity(text)))
		}
		write(must(input.Object.open(ids)))
	default:
		check(fmt.Errorf("usage: vectors make | check FILE | open | make-keyset | check-keyset"))
	}
}

func write(value any) {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	check(encoder.Encode(value))
}
