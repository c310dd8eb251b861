//go:build !linux

package main

import "syscall"

// childAttributes: without a parent-death signal the pipe of process.go does the work alone.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
