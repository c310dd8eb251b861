package main

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// markerFile marks a directory as a data directory of ours, and is locked while a cluster uses it.
const markerFile = "signet-cluster.lock"

// claimDataDir creates and locks the data directory. It refuses a directory with anything else in it: `--rm` deletes
// the whole directory later. The lock is released when the returned file is closed or the process ends.
func claimDataDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	marker := filepath.Join(dir, markerFile)
	if _, err := os.Stat(marker); err != nil && len(entries) > 0 {
		return nil, fmt.Errorf("data directory %s is neither empty nor that of an earlier cluster", dir)
	}
	lock, err := os.OpenFile(marker, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("data directory %s is in use by another cluster", dir)
	}
	return lock, os.MkdirAll(filepath.Join(dir, "logs"), 0o700)
}
