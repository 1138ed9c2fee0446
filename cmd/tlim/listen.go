package main

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// listen opens the address of a key. The error names the key, and what to do about an address that is taken.
func listen(key, address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if err == nil {
		return listener, nil
	}
	_, port, _ := net.SplitHostPort(address) // its form was checked
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint := ""
		if port == consolePort {
			hint = "; Openfire's console had this port in the old package (adminConsole.port in openfire.xml)"
		}
		return nil, fmt.Errorf("%s: another process listens on %s already: find it by `ss -ltnp 'sport = :%s'`, and stop it or choose another port%s", key, address, port, hint)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("%s: this machine has no address %s: take one that it has, or :%s for all of them", key, address, port)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s: this user may not listen on %s: choose a port above 1023", key, address)
	}
	return nil, fmt.Errorf("%s: %w", key, err)
}

// consolePort is the default of http.listen, which callers know, and was that of Openfire's own console in the old package.
const consolePort = "9595"

// checkListen says whether an address can be listened on. It is asked for that of the API before the database is, so that a port that is
// taken is the first thing that is said, and is opened when all else is there, so that no caller waits for an answer meanwhile.
func checkListen(key, address string) error {
	listener, err := listen(key, address)
	if err != nil {
		return err
	}
	return listener.Close()
}
