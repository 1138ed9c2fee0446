package config

import (
	"net"
	"slices"
	"strings"
)

// Servers are the component ports of one server's nodes, or of spares, each as host:port.
type Servers []string

// String is the list as text, which reads back as the same.
func (s Servers) String() string { return strings.Join(s, ", ") }

// MarshalText writes what String says, so that one server is shown as it always was.
func (s Servers) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Hosts are their hosts, each once.
func (s Servers) Hosts() []string {
	var hosts []string
	for _, address := range s {
		if host, _, err := net.SplitHostPort(address); err == nil && host != "" && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
