package main

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// portReservation keeps a loopback port for a child process.
//
// Closing a port and telling a child to open it again loses a race now and then, and tests start many clusters. So the
// parent keeps a socket that is bound but never listens, with SO_REUSEPORT: the kernel gives the port to nobody else,
// and the child, which sets SO_REUSEPORT too, can listen on it. A connection never reaches a socket that does not listen.
type portReservation struct {
	Port int
	fd   int
}

// reservePort reserves the given loopback port, or a free one for 0.
func reservePort(port int) (*portReservation, error) {
	if port != 0 {
		// With SO_REUSEPORT, the same port could be had twice by asking for it. A plain listener is refused then.
		probe, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return nil, err
		}
		_ = probe.Close()
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	reservation, err := bindReservation(fd, port)
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("reserving port %d of 127.0.0.1: %w", port, err)
	}
	return reservation, nil
}

func bindReservation(fd, port int) (*portReservation, error) {
	unix.CloseOnExec(fd) // a child that kept the port would keep it after the parent's death
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		return nil, err
	}
	inet, ok := address.(*unix.SockaddrInet4)
	if !ok {
		return nil, fmt.Errorf("unexpected address type %T", address)
	}
	return &portReservation{Port: inet.Port, fd: fd}, nil
}

func (r *portReservation) Close() { _ = unix.Close(r.fd) }
