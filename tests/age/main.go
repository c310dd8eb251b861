// Command cctv writes the test vectors of C2SP's CCTV (module c2sp.org/CCTV/age, 0BSD or CC0-1.0) into a directory,
// decompressed, so that the tests need no copy of them in this repository.
package main

import (
	"bytes"
	"compress/zlib"
	"io"
	"io/fs"
	"log"
	"os"
	"path/filepath"

	agetest "c2sp.org/CCTV/age"
)

func main() {
	entries, err := fs.ReadDir(agetest.Vectors, ".")
	check(err)
	for _, entry := range entries {
		file, err := fs.ReadFile(agetest.Vectors, entry.Name())
		check(err)
		header, body, _ := bytes.Cut(file, []byte("\n\n"))
		if bytes.Contains(header, []byte("compressed: zlib")) {
			reader, err := zlib.NewReader(bytes.NewReader(body))
			check(err)
			body, err = io.ReadAll(io.LimitReader(reader, 64<<20))
			check(err)
		}
		check(os.WriteFile(filepath.Join(os.Args[1], entry.Name()), append(append(header, "\n\n"...), body...), 0o644))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
