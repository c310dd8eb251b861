package main

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bitnami/sealed-secrets/pkg/crypto"
	"k8s.io/client-go/util/keyutil"
)

// open opens the sealed values of a file, one a line and each under its own label ("LABEL VALUE"), as the controller
// does, with one goroutine and with one a processor, and says how long each took.
func open(file, keyFile string, out *os.File) error {
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	parsed, err := keyutil.ParsePrivateKeyPEM(pem)
	if err != nil {
		return err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return fmt.Errorf("%s: not an RSA key", keyFile)
	}
	values, err := read(file)
	if err != nil {
		return err
	}
	keys := map[string]*rsa.PrivateKey{"only": key}
	result := struct {
		Values  int     `json:"values"`
		Bytes   int64   `json:"bytes"`
		Serial  float64 `json:"serial"`
		Workers int     `json:"workers"`
		All     float64 `json:"all"`
	}{Values: len(values), Workers: runtime.NumCPU()}
	if result.Bytes, result.Serial, err = timed(values, keys, 1); err != nil {
		return err
	}
	if _, result.All, err = timed(values, keys, result.Workers); err != nil {
		return err
	}
	return write(out, result)
}

type labelled struct{ label, value string }

func read(file string) ([]labelled, error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	var values []labelled
	for lines.Scan() {
		var one labelled
		if _, err := fmt.Sscan(lines.Text(), &one.label, &one.value); err != nil {
			return nil, err
		}
		values = append(values, one)
	}
	return values, lines.Err()
}

func timed(values []labelled, keys map[string]*rsa.PrivateKey, workers int) (int64, float64, error) {
	var (
		next, bytes atomic.Int64
		failed      atomic.Pointer[error]
		done        sync.WaitGroup
	)
	began := time.Now()
	for range workers {
		done.Go(func() {
			for {
				at := next.Add(1) - 1
				if at >= int64(len(values)) {
					return
				}
				sealed, err := base64.StdEncoding.DecodeString(values[at].value)
				if err == nil {
					sealed, err = crypto.HybridDecrypt(rand.Reader, keys, sealed, []byte(values[at].label))
				}
				if err != nil {
					failed.Store(&err)
					return
				}
				bytes.Add(int64(len(sealed)))
			}
		})
	}
	done.Wait()
	if err := failed.Load(); err != nil {
		return 0, 0, *err
	}
	return bytes.Load(), time.Since(began).Seconds(), nil
}
