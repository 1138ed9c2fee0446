//go:build !linux

package stream

import "net"

// quickAck does nothing: the setting is Linux's. On other systems Openfire's xmpp.socket.tcp-nodelay has the same effect.
func quickAck(net.Conn) func() { return func() {} }
