package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
)

// Remedy says what to do about an error of opening or asking the database of cfg. It holds no secret of the address.
func Remedy(cfg Config, err error) string {
	cfg = cfg.withDefaults()
	d, unknown := dialectOf(cfg.Driver)
	if unknown != nil {
		return "set store.driver to one that CONFIG.md has"
	}
	if d.remedy != nil {
		if remedy := d.remedy(cfg, err); remedy != "" {
			return remedy
		}
	}
	var lookup *net.DNSError
	var certificate *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var record tls.RecordHeaderError
	var network net.Error
	switch {
	case errors.As(err, &lookup):
		return "correct the host in store.dsn, or the name service"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "start the database, or correct host and port in store.dsn"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "correct the host in store.dsn, or the way to it: routes, firewall"
	case errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record):
		return "correct the parameters of store.dsn that are about TLS, or the server's certificate"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "are host and port of store.dsn the database's? Then a firewall swallows what is sent, or the server hangs: ask it from this host with its own client"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, driver.ErrBadConn), strings.Contains(err.Error(), "packet"):
		return noEngine(d.name)
	}
	return "see that the database runs and is not overloaded, that its user may read this, and that store.driver and store.dsn are its own"
}

func noEngine(name string) string {
	return fmt.Sprintf("what listens there is no %s, or it hangs or refuses this host: correct store.driver, host and port, or see the server's log", name)
}

// errIrregular is a name in store.dsn that cannot be a database: opening a pipe would wait for ever.
type errIrregular struct{ is string }

func (e *errIrregular) Error() string { return "is " + e.is + ", no database" }

// regular refuses what is there and no file.
func regular(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil, info.Mode().IsRegular():
		return nil // where it is missing or out of reach, opening says so
	case info.IsDir():
		return &errIrregular{"a folder"}
	case info.Mode()&fs.ModeNamedPipe != 0:
		return &errIrregular{"a pipe"}
	}
	return &errIrregular{"a device or a socket"}
}
