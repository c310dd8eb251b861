// The key set document, from docs/sealed-format.md alone.
package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

type signature struct {
	PublicKey string `json:"publicKey"`
	Signature string `json:"signature"`
}

type keyEntry struct {
	ID             string      `json:"id"`
	Suite          string      `json:"suite"`
	Recipient      string      `json:"recipient"`
	EndorsementKey string      `json:"endorsementKey"`
	NotBefore      string      `json:"notBefore"`
	Endorsements   []signature `json:"endorsements"`
}

type keySet struct {
	Format      string            `json:"format"`
	Audience    map[string]string `json:"audience"`
	IssuedAt    string            `json:"issuedAt"`
	Compromised []string          `json:"compromised"`
	Keys        []keyEntry        `json:"keys"`
}

type envelope struct {
	Payload    string      `json:"payload"`
	Signatures []signature `json:"signatures"`
}

// keySetVector is a document with the private halves of its keys: the first was followed by the second, which signs.
type keySetVector struct {
	Identities []string `json:"identities"`
	Root       string   `json:"root"`
	Seeds      []string `json:"seeds"`
	Names      []string `json:"names"`
	Document   string   `json:"document"`
}

func endorsementKey(secret []byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(derive(secret, nil, "signet.dev/endorsement/v1"))
}

func publicText(key ed25519.PrivateKey) string {
	return base64Text(key.Public().(ed25519.PublicKey))
}

func endorsementName(public []byte) string {
	sum := sha256.Sum256(public)
	return "ed25519-" + hex.EncodeToString(sum[:16])
}

func signWith(key ed25519.PrivateKey, message []byte) signature {
	return signature{publicText(key), base64Text(ed25519.Sign(key, message))}
}

func (s signature) verifies(message []byte) bool {
	public, err := base64.StdEncoding.Strict().DecodeString(s.PublicKey)
	bytes, other := base64.StdEncoding.Strict().DecodeString(s.Signature)
	return err == nil && other == nil && len(public) == ed25519.PublicKeySize && ed25519.Verify(public, message, bytes)
}

func (e keyEntry) message() []byte {
	return lp("signet.dev/endorsement/v1", e.Suite, e.ID, e.Recipient, e.EndorsementKey)
}

func makeKeySet() keySetVector {
	first, second, gone := identity{"mlkem768x25519", random(32)}, identity{"mlkem768x25519", random(32)}, random(32)
	root := random(32)
	keys := []ed25519.PrivateKey{endorsementKey(first.seed), endorsementKey(second.seed), endorsementKey(root)}
	out := keySetVector{Identities: []string{first.text(), second.text()}, Root: hex.EncodeToString(root)}
	for _, key := range keys {
		out.Seeds = append(out.Seeds, hex.EncodeToString(key.Seed()))
		out.Names = append(out.Names, endorsementName(key.Public().(ed25519.PublicKey)))
	}
	set := keySet{
		Format: "signet.dev/keyset/v1", Audience: map[string]string{"kind": "Project", "name": "shop"},
		IssuedAt:    "2026-11-28T20:00:00Z",
		Compromised: []string{endorsementName(endorsementKey(gone).Public().(ed25519.PublicKey))},
	}
	for at, id := range []identity{second, first} {
		set.Keys = append(set.Keys, keyEntry{
			ID: keyID(id), Suite: id.suite, Recipient: id.recipient(), EndorsementKey: publicText(keys[1-at]),
			NotBefore: "2026-11-28T20:00:00Z", Endorsements: []signature{},
		})
	}
	set.Keys[0].Endorsements = []signature{signWith(keys[0], set.Keys[0].message())}
	payload := must(json.Marshal(set))
	message := lp([]byte("signet.dev/keyset/v1"), payload)
	out.Document = string(must(json.Marshal(envelope{
		base64Text(payload), []signature{signWith(keys[1], message), signWith(keys[2], message)},
	})))
	return out
}

// checkKeySet says who signed and who endorsed whom, or fails.
func checkKeySet(document []byte) []string {
	var doc envelope
	check(json.Unmarshal(document, &doc))
	payload := must(base64.StdEncoding.Strict().DecodeString(doc.Payload))
	var set keySet
	check(json.Unmarshal(payload, &set))
	var said []string
	name := func(text string) string {
		return endorsementName(must(base64.StdEncoding.Strict().DecodeString(text)))
	}
	for _, s := range doc.Signatures {
		if !s.verifies(lp([]byte("signet.dev/keyset/v1"), payload)) {
			check(fmt.Errorf("a signature that does not fit"))
		}
		said = append(said, "signed by "+name(s.PublicKey))
	}
	for _, entry := range set.Keys {
		for _, s := range entry.Endorsements {
			if !s.verifies(entry.message()) {
				check(fmt.Errorf("an endorsement that does not fit"))
			}
			said = append(said, name(s.PublicKey)+" endorses "+name(entry.EndorsementKey))
		}
	}
	for _, name := range set.Compromised {
		said = append(said, name+" is compromised")
	}
	return said
}
