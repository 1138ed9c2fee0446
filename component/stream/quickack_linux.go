package stream

import (
	"crypto/tls"
	"net"
	"syscall"
)

// quickAck returns a function that makes the kernel acknowledge at once what was read from conn; it is called after each read,
// because the kernel takes the setting back by itself.
//
// By default Openfire leaves Nagle's algorithm on (xmpp.socket.tcp-nodelay): a small stanza waits until the one before it was
// acknowledged, and a kernel with nothing to send delays that by 40 ms. The answer to each barrier is such a small stanza,
// so the next message of a client reached us up to 40 ms late (measured: 38 instead of 7 ms to 50 members).
func quickAck(conn net.Conn) func() {
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return func() {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil { // the connection is closed: its reader will say so
		return func() {}
	}
	set := func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // without it all works, later
	}
	return func() { _ = raw.Control(set) } // fails on a closed connection only
}
