// Format v2, from docs/sealed-format.md alone.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"strings"
)

type sealedSecret struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Metadata   metadata `json:"metadata"`
	Spec       spec     `json:"spec"`
}

type metadata struct {
	Name      string `json:"name,omitempty"`
	Namespace string `json:"namespace,omitempty"`
}

type spec struct {
	Scope     string            `json:"scope"`
	SealedFor *metadata         `json:"sealedFor,omitempty"`
	DataKeys  []dataKey         `json:"dataKeys"`
	Values    map[string]string `json:"values"`
	Template  *template         `json:"template,omitempty"`
}

type dataKey struct {
	ID         string   `json:"id"`
	Recipients []string `json:"recipients"`
	Age        string   `json:"age"`
}

type template struct {
	Type      string `json:"type,omitempty"`
	Immutable *bool  `json:"immutable,omitempty"`
	Metadata  struct {
		Labels      map[string]string `json:"labels,omitempty"`
		Annotations map[string]string `json:"annotations,omitempty"`
		Finalizers  []string          `json:"finalizers,omitempty"`
	} `json:"metadata,omitzero"`
	Data map[string]string `json:"data,omitempty"`
	Omit []string          `json:"omit,omitempty"`
}

// lp puts fields together, each behind its length in 8 bytes.
func lp[T string | []byte](fields ...T) []byte {
	var out []byte
	for _, field := range fields {
		out = append(binary.BigEndian.AppendUint64(out, uint64(len(field))), field...)
	}
	return out
}

func lpMap(entries map[string]string) []byte {
	var fields []string
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		fields = append(fields, key, entries[key])
	}
	return lp(fields...)
}

func keyID(id identity) string {
	sum := sha256.Sum256(lp([]byte(id.suite), id.public()))
	return "key-" + hex.EncodeToString(sum[:16])
}

func (t *template) digest() []byte {
	if t == nil {
		t = &template{}
	}
	immutable := ""
	if t.Immutable != nil {
		immutable = map[bool]string{true: "true", false: "false"}[*t.Immutable]
	}
	omit := slices.Sorted(slices.Values(t.Omit))
	sum := sha256.Sum256(lp(
		[]byte("signet.dev/sealed/v2/template"), []byte(t.Type), []byte(immutable),
		lpMap(t.Metadata.Labels), lpMap(t.Metadata.Annotations), lp(t.Metadata.Finalizers...),
		lpMap(t.Data), lp(omit...)))
	return sum[:]
}

// place is scope, namespace and name, empty where the scope does not use them.
func (o *sealedSecret) place() (scope, namespace, name []byte, err error) {
	uses := map[string][2]bool{"Strict": {true, true}, "Namespace": {true, false}, "Cluster": {false, false}}
	use, known := uses[o.Spec.Scope]
	if !known {
		return nil, nil, nil, errors.New("an unknown scope")
	}
	var says, is metadata
	if o.Spec.SealedFor != nil {
		says = *o.Spec.SealedFor
	}
	if use[0] {
		is.Namespace = o.Metadata.Namespace
	}
	if use[1] {
		is.Name = o.Metadata.Name
	}
	if says != is {
		return nil, nil, nil, errors.New("sealed for another place")
	}
	return []byte(o.Spec.Scope), []byte(is.Namespace), []byte(is.Name), nil
}

func (o *sealedSecret) header(key dataKey) []byte {
	scope, namespace, name, err := o.place()
	check(err)
	return lp([]byte("signet.dev/sealed/v2/data-key"), scope, namespace, name, []byte(key.ID), lp(key.Recipients...))
}

func (o *sealedSecret) aad(name string) []byte {
	scope, namespace, object, err := o.place()
	check(err)
	return lp([]byte("signet.dev/sealed/v2/aad"), scope, namespace, object, []byte(name), o.Spec.Template.digest())
}

func subkey(key []byte, purpose, name string) []byte {
	return derive(key, nil, string(lp("signet.dev/sealed/v2/"+purpose, name)))
}

func gcm(key []byte) cipher.AEAD { return must(cipher.NewGCM(must(aes.NewCipher(key)))) }

func nonce(key []byte, name string, aad, padded []byte) []byte {
	mac := hmac.New(sha256.New, subkey(key, "nonce", name))
	mac.Write(lp(aad, padded))
	return mac.Sum(nil)[:12]
}

func (o *sealedSecret) sealValue(key []byte, id, name string, value []byte) string {
	padded := append(binary.BigEndian.AppendUint32(nil, uint32(len(value))), value...)
	for len(padded)%32 != 0 {
		padded = append(padded, 0)
	}
	aad := o.aad(name)
	iv := nonce(key, name, aad, padded)
	sealed := gcm(subkey(key, "value", name)).Seal(iv, iv, padded, aad)
	return id + "." + base64.StdEncoding.EncodeToString(sealed)
}

func (o *sealedSecret) openValue(key []byte, name, text string) ([]byte, error) {
	sealed, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(sealed) < 12+32+16 {
		return nil, errors.New("a damaged value")
	}
	aad := o.aad(name)
	padded, err := gcm(subkey(key, "value", name)).Open(nil, sealed[:12], sealed[12:], aad)
	if err != nil || len(padded)%32 != 0 || !hmac.Equal(sealed[:12], nonce(key, name, aad, padded)) {
		return nil, errors.New("a value that does not open")
	}
	size := int(binary.BigEndian.Uint32(padded))
	if size > len(padded)-4 || len(padded)-4-size > 31 || strings.Trim(string(padded[4+size:]), "\x00") != "" {
		return nil, errors.New("a value with wrong padding")
	}
	return padded[4 : 4+size], nil
}

// open gives the data of the Secret.
func (o *sealedSecret) open(identities []identity) (map[string][]byte, error) {
	if _, _, _, err := o.place(); err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, text := range o.Spec.Values {
		id, _, _ := strings.Cut(text, ".")
		used[id] = true
	}
	keys := map[string][]byte{}
	for _, key := range o.Spec.DataKeys {
		if !used[key.ID] {
			continue
		}
		at := slices.IndexFunc(identities, func(id identity) bool { return slices.Contains(key.Recipients, keyID(id)) })
		if at < 0 {
			return nil, errors.New("no key for " + key.ID)
		}
		file, err := base64.StdEncoding.Strict().DecodeString(key.Age)
		if err != nil {
			return nil, err
		}
		payload, err := ageDecrypt(file, identities[at])
		if err != nil {
			return nil, err
		}
		header := o.header(key)
		if len(payload) != len(header)+32 || !hmac.Equal(payload[:len(header)], header) {
			return nil, errors.New("a data key that is for something else")
		}
		keys[key.ID] = payload[len(header):]
	}
	values := map[string][]byte{}
	for name, text := range o.Spec.Values {
		id, sealed, _ := strings.Cut(text, ".")
		if keys[id] == nil {
			return nil, errors.New("a value without its data key")
		}
		value, err := o.openValue(keys[id], name, sealed)
		if err != nil {
			return nil, err
		}
		values[name] = value
	}
	return o.render(values)
}

func (o *sealedSecret) render(values map[string][]byte) (map[string][]byte, error) {
	data := maps.Clone(values)
	if o.Spec.Template == nil {
		return data, nil
	}
	for _, name := range o.Spec.Template.Omit {
		delete(data, name)
	}
	for name, text := range o.Spec.Template.Data {
		var out []byte
		for {
			before, after, found := strings.Cut(text, "${")
			if !found {
				data[name] = append(out, text...)
				break
			}
			if literal, escaped := strings.CutSuffix(before, "$"); escaped {
				out, text = append(out, literal+"${"...), after
				continue
			}
			key, rest, closed := strings.Cut(after, "}")
			value, known := values[key]
			if !closed || !known {
				return nil, errors.New("a text refers to a key that is not there")
			}
			out, text = append(append(out, before...), value...), rest
		}
	}
	return data, nil
}
