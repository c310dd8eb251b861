// ChaCha20-Poly1305 (RFC 8439), for messages of a few hundred bytes: the standard library does not export its own.
package main

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"math/big"
	"math/bits"
)

// chachaBlock is the block function of RFC 8439, 2.3.
func chachaBlock(key, nonce []byte, counter uint32) []byte {
	initial := [16]uint32{0: 0x61707865, 1: 0x3320646e, 2: 0x79622d32, 3: 0x6b206574, 12: counter}
	for i := range 8 {
		initial[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	for i := range 3 {
		initial[13+i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	state := initial
	quarter := func(a, b, c, d int) {
		state[a] += state[b]
		state[d] = bits.RotateLeft32(state[d]^state[a], 16)
		state[c] += state[d]
		state[b] = bits.RotateLeft32(state[b]^state[c], 12)
		state[a] += state[b]
		state[d] = bits.RotateLeft32(state[d]^state[a], 8)
		state[c] += state[d]
		state[b] = bits.RotateLeft32(state[b]^state[c], 7)
	}
	for range 10 {
		for i := range 4 {
			quarter(i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			quarter(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	var out []byte
	for i := range state {
		out = binary.LittleEndian.AppendUint32(out, state[i]+initial[i])
	}
	return out
}

func chachaXor(key, nonce, text []byte) []byte {
	out := make([]byte, len(text))
	for i := range text {
		if i%64 == 0 {
			copy(out[i:], chachaBlock(key, nonce, uint32(1+i/64)))
		}
		out[i] ^= text[i]
	}
	return out
}

// polyTag is Poly1305 over ciphertext and lengths, without AAD (RFC 8439, 2.8).
func polyTag(key, nonce, ciphertext []byte) []byte {
	one := chachaBlock(key, nonce, 0)
	number := func(little []byte) *big.Int {
		big_ := make([]byte, len(little))
		for i, b := range little {
			big_[len(little)-1-i] = b
		}
		return new(big.Int).SetBytes(big_)
	}
	clamp, _ := new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)
	r := new(big.Int).And(number(one[:16]), clamp)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))

	message := append([]byte(nil), ciphertext...)
	for len(message)%16 != 0 {
		message = append(message, 0)
	}
	message = binary.LittleEndian.AppendUint64(message, 0)
	message = binary.LittleEndian.AppendUint64(message, uint64(len(ciphertext)))
	sum := new(big.Int)
	for ; len(message) > 0; message = message[16:] {
		block := append(append([]byte(nil), message[:16]...), 1)
		sum.Mul(sum.Add(sum, number(block)), r).Mod(sum, p)
	}
	sum.Add(sum, number(one[16:32]))
	tag := make([]byte, 16)
	bytes := sum.FillBytes(make([]byte, 32))
	for i := range tag {
		tag[i] = bytes[31-i]
	}
	return tag
}

func chachaSeal(key, nonce, text []byte) []byte {
	ciphertext := chachaXor(key, nonce, text)
	return append(ciphertext, polyTag(key, nonce, ciphertext)...)
}

func chachaOpen(key, nonce, sealed []byte) ([]byte, error) {
	if len(sealed) < 16 {
		return nil, errors.New("too short")
	}
	ciphertext, tag := sealed[:len(sealed)-16], sealed[len(sealed)-16:]
	if subtle.ConstantTimeCompare(tag, polyTag(key, nonce, ciphertext)) != 1 {
		return nil, errors.New("wrong tag")
	}
	return chachaXor(key, nonce, ciphertext), nil
}
