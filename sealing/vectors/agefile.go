// age files (C2SP age.md) with a payload of one chunk, for X25519 and mlkem768x25519 recipients.
package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/hpke"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

const hybridInfo = "age-encryption.org/mlkem768x25519"

var raw64 = base64.RawStdEncoding

// identity is a private key: its suite and its 32 bytes.
type identity struct {
	suite string
	seed  []byte
}

func parseIdentity(text string) (identity, error) {
	prefix, seed, err := bech32Decode(text)
	suites := map[string]string{"age-secret-key-": "X25519", "age-secret-key-pq-": "mlkem768x25519"}
	if err != nil || suites[prefix] == "" || len(seed) != 32 {
		return identity{}, errors.New("not a private key of age")
	}
	return identity{suites[prefix], seed}, nil
}

func (id identity) text() string {
	prefix := map[string]string{"X25519": "age-secret-key-", "mlkem768x25519": "age-secret-key-pq-"}[id.suite]
	return strings.ToUpper(bech32Encode(prefix, id.seed))
}

func (id identity) x25519() *ecdh.PrivateKey { return must(ecdh.X25519().NewPrivateKey(id.seed)) }

func (id identity) hybrid() hpke.PrivateKey {
	return must(hpke.MLKEM768X25519().NewPrivateKey(id.seed))
}

func (id identity) public() []byte {
	if id.suite == "X25519" {
		return id.x25519().PublicKey().Bytes()
	}
	return id.hybrid().PublicKey().Bytes()
}

func (id identity) recipient() string {
	if id.suite == "X25519" {
		return bech32Encode("age", id.public())
	}
	return bech32Encode("age1pq", id.public())
}

func derive(secret, salt []byte, info string) []byte {
	return must(hkdf.Key(sha256.New, secret, salt, info, 32))
}

func x25519Key(shared, share, public []byte) []byte {
	return derive(shared, append(append([]byte(nil), share...), public...), "age-encryption.org/v1/X25519")
}

// wrap makes the stanza of one recipient.
func (id identity) wrap(fileKey []byte) string {
	var argument, body []byte
	if id.suite == "X25519" {
		ephemeral := must(ecdh.X25519().GenerateKey(rand.Reader))
		argument = ephemeral.PublicKey().Bytes()
		key := x25519Key(must(ephemeral.ECDH(id.x25519().PublicKey())), argument, id.public())
		body = chachaSeal(key, make([]byte, 12), fileKey)
	} else {
		sealed := must(hpke.Seal(id.hybrid().PublicKey(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(hybridInfo), fileKey))
		argument, body = sealed[:1120], sealed[1120:]
	}
	return fmt.Sprintf("-> %s %s\n%s\n", id.suite, raw64.EncodeToString(argument), raw64.EncodeToString(body))
}

// unwrap opens a stanza, if it is for this key.
func (id identity) unwrap(argument, body []byte) ([]byte, error) {
	if id.suite == "X25519" {
		share, err := ecdh.X25519().NewPublicKey(argument)
		if err != nil {
			return nil, err
		}
		shared, err := id.x25519().ECDH(share)
		if err != nil {
			return nil, err
		}
		return chachaOpen(x25519Key(shared, argument, id.public()), make([]byte, 12), body)
	}
	sealed := append(append([]byte(nil), argument...), body...)
	return hpke.Open(id.hybrid(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), []byte(hybridInfo), sealed)
}

func headerMac(fileKey, header []byte) string {
	mac := hmac.New(sha256.New, derive(fileKey, nil, "header"))
	mac.Write(header)
	return raw64.EncodeToString(mac.Sum(nil))
}

// lastChunk is the STREAM nonce of the first chunk where it is the last.
var lastChunk = append(make([]byte, 11), 1)

func ageEncrypt(payload []byte, recipients []identity) []byte {
	fileKey, nonce := random(16), random(16)
	header := "age-encryption.org/v1\n"
	for _, recipient := range recipients {
		header += recipient.wrap(fileKey)
	}
	header += "---"
	file := []byte(header + " " + headerMac(fileKey, []byte(header)) + "\n")
	file = append(file, nonce...)
	return append(file, chachaSeal(derive(fileKey, nonce, "payload"), lastChunk, payload)...)
}

func ageDecrypt(file []byte, id identity) ([]byte, error) {
	end := bytes.Index(file, []byte("\n--- "))
	if !bytes.HasPrefix(file, []byte("age-encryption.org/v1\n")) || end < 0 {
		return nil, errors.New("not an age file")
	}
	header, rest := file[:end+4], file[end+5:]
	stanzas := strings.Split(string(file[:end]), "\n-> ")
	for _, stanza := range stanzas[1:] {
		first, lines, _ := strings.Cut(stanza, "\n")
		words := strings.Split(first, " ")
		if words[0] != id.suite || len(words) != 2 {
			continue
		}
		argument, err1 := raw64.DecodeString(words[1])
		body, err2 := raw64.DecodeString(strings.ReplaceAll(lines, "\n", ""))
		if err1 != nil || err2 != nil {
			return nil, errors.New("a damaged stanza")
		}
		fileKey, err := id.unwrap(argument, body)
		if err != nil {
			continue
		}
		mac, payload, _ := bytes.Cut(rest, []byte("\n"))
		if !hmac.Equal(mac, []byte(headerMac(fileKey, header))) || len(payload) < 32 {
			return nil, errors.New("a damaged header")
		}
		return chachaOpen(derive(fileKey, payload[:16], "payload"), lastChunk, payload[16:])
	}
	return nil, errors.New("not for this key")
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
