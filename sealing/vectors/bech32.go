// Bech32 (BIP 173) without its limit on length.
package main

import (
	"errors"
	"strings"
)

const charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

func checksum(prefix string, digits []byte) uint32 {
	var all []byte
	for i := range len(prefix) {
		all = append(all, prefix[i]>>5)
	}
	all = append(all, 0)
	for i := range len(prefix) {
		all = append(all, prefix[i]&31)
	}
	sum := uint32(1)
	for _, digit := range append(all, digits...) {
		top := sum >> 25
		sum = (sum&0x1ffffff)<<5 ^ uint32(digit)
		for i, word := range []uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				sum ^= word
			}
		}
	}
	return sum
}

func regroup(in []byte, from, to int) []byte {
	var out []byte
	held, bits := 0, 0
	for _, b := range in {
		held, bits = held<<from|int(b), bits+from
		for bits >= to {
			bits -= to
			out = append(out, byte(held>>bits&(1<<to-1)))
		}
		held &= 1<<bits - 1
	}
	if to < from && bits > 0 {
		out = append(out, byte(held<<(to-bits)&(1<<to-1)))
	}
	return out
}

func bech32Encode(prefix string, bytes []byte) string {
	digits := regroup(bytes, 8, 5)
	sum := checksum(prefix, append(append([]byte(nil), digits...), 0, 0, 0, 0, 0, 0)) ^ 1
	for i := range 6 {
		digits = append(digits, byte(sum>>(5*(5-i))&31))
	}
	var text strings.Builder
	text.WriteString(prefix + "1")
	for _, digit := range digits {
		text.WriteByte(charset[digit])
	}
	return text.String()
}

func bech32Decode(text string) (prefix string, bytes []byte, err error) {
	lower := strings.ToLower(text)
	at := strings.LastIndexByte(lower, '1')
	if at < 1 || len(lower)-at < 7 {
		return "", nil, errors.New("not Bech32")
	}
	var digits []byte
	for _, c := range lower[at+1:] {
		digit := strings.IndexRune(charset, c)
		if digit < 0 {
			return "", nil, errors.New("not Bech32")
		}
		digits = append(digits, byte(digit))
	}
	if checksum(lower[:at], digits) != 1 {
		return "", nil, errors.New("a wrong Bech32 checksum")
	}
	return lower[:at], regroup(digits[:len(digits)-6], 5, 8), nil
}
