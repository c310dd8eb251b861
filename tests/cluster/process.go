package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

// lifelineVariable names the file descriptor on which a child waits for the end of its parent.
const lifelineVariable = "SIGNET_CLUSTER_LIFELINE"

// dieWithParent ends this process when the process that started it is gone, however that came about: the parent holds
// the only write end of a pipe, which the kernel closes with it. Does nothing in a process that `up` did not start.
func dieWithParent() {
	fd, err := strconv.Atoi(os.Getenv(lifelineVariable))
	if err != nil {
		return
	}
	_ = os.Unsetenv(lifelineVariable)
	syscall.CloseOnExec(fd)
	lifeline := os.NewFile(uintptr(fd), "lifeline")
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(1)
	}()
}

// family starts children of this process and ends them with it.
type family struct {
	dir      string // working directory of the children
	binary   string
	lifeline *os.File // read end, inherited by every child
	hold     *os.File // write end, held by this process alone
	requests chan func()
	exited   chan *child
	children []*child
}

type child struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	err  error // why it ended; valid after done is closed
}

func newFamily(dir string) (*family, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	lifeline, hold, err := os.Pipe() // both close on exec; children get the read end explicitly
	if err != nil {
		return nil, err
	}
	f := &family{dir: dir, binary: binary, lifeline: lifeline, hold: hold, requests: make(chan func()), exited: make(chan *child, 16)}
	go func() {
		// The kernel ties a parent-death signal to the thread that started the child. This thread never ends.
		runtime.LockOSThread()
		for request := range f.requests {
			request()
		}
	}()
	return f, nil
}

// start runs this binary's subcommand `name`, with its output in logs/<name>.log.
func (f *family) start(name string, args ...string) (*child, error) {
	log := filepath.Join(f.dir, "logs", name+".log")
	output, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer output.Close()

	cmd := exec.Command(f.binary, args...)
	cmd.Args[0] = name // see main
	cmd.Dir = f.dir
	// kwok would otherwise read a configuration in the user's home directory as well.
	cmd.Env = append(os.Environ(), lifelineVariable+"=3", "KWOK_WORKDIR="+f.dir)
	cmd.ExtraFiles = []*os.File{f.lifeline}
	cmd.Stdout, cmd.Stderr = output, output
	cmd.SysProcAttr = childAttributes()

	started := make(chan error)
	f.requests <- func() { started <- cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	c := &child{name: name, log: log, cmd: cmd, done: make(chan struct{})}
	f.children = append(f.children, c)
	go func() {
		c.err = cmd.Wait()
		close(c.done)
		f.exited <- c
	}()
	return c, nil
}

// stop ends every child. Only etcd has something to put in order, and only after its clients are gone.
func (f *family) stop() {
	for _, c := range f.children {
		if c.name != "etcd" {
			_ = c.cmd.Process.Kill()
		}
	}
	for _, c := range f.children {
		if c.name == "etcd" {
			c.terminate(2 * time.Second)
		}
		<-c.done
	}
}

func (c *child) terminate(grace time.Duration) {
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-c.done:
	case <-time.After(grace):
		_ = c.cmd.Process.Kill()
	}
}

// failure describes a child that ended by itself, with the last lines it wrote.
func (c *child) failure() error {
	return fmt.Errorf("%s ended by itself (%v); end of %s:\n%s", c.name, c.err, c.log, lastLines(c.log, 15))
}

func lastLines(path string, count int) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
	if len(lines) > count {
		lines = lines[len(lines)-count:]
	}
	return string(bytes.Join(lines, []byte("\n")))
}
