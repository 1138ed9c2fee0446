package stream

import (
	"io"
	"net"
	"syscall"
	"testing"
)

// TestQuickAck answers on a real connection, which makes the kernel delay its acknowledgements, and asks the kernel what it does then.
func TestQuickAck(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	turn := func(from, to net.Conn) {
		t.Helper()
		if _, err := from.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(to, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 { // question and answer: the pattern for which kernels wait
		turn(server, conn)
		turn(conn, server)
	}
	if quick(t, conn) {
		t.Fatal("got an acknowledgement at once from the kernel by itself, want a late one: else the test shows nothing")
	}
	turn(server, conn)
	quickAck(conn)()
	if !quick(t, conn) {
		t.Error("the kernel delays its acknowledgements, want them at once")
	}
}

func quick(t *testing.T, conn net.Conn) (on bool) {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var value int
	var getErr error
	if err := raw.Control(func(fd uintptr) {
		value, getErr = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK)
	}); err != nil {
		t.Fatal(err)
	}
	if getErr != nil {
		t.Fatal(getErr)
	}
	return value != 0
}
