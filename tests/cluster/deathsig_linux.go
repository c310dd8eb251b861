package main

import "syscall"

// childAttributes puts a child into a process group of its own, so that Ctrl-C in a terminal reaches `up` alone and it
// decides about the order; and has the kernel kill the child with its parent, where the kernel can.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
