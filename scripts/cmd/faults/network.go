package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// serverIP is where Openfire listens. Clients are beside it.
const serverIP = "10.77.0.1"

// machine is a network namespace with a cable to the one of this process, which passes packets on between all of them.
type machine struct {
	name string // of the namespace
	ip   string
	link string // our end of the cable

	mu   sync.Mutex
	cuts map[string]direction // by the address of the other side; "" is everybody
}

// direction is which packets of a machine are dropped.
type direction struct{ from, to bool }

var (
	bothWays   = direction{true, true}
	onlyFrom   = direction{from: true} // what the machine sends is dropped, what it is sent arrives
	onlyTo     = direction{to: true}
	directions = []struct {
		name string
		direction
	}{{"both ways", bothWays}, {"what it sends", onlyFrom}, {"what it is sent", onlyTo}}
)

func run(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// newNetwork makes this process's own namespace ready. scripts/faults has put it into one of its own, whose mounts are its own as well.
func newNetwork(dir string) error {
	if links, err := os.ReadDir("/sys/class/net"); err != nil {
		return fmt.Errorf("look at the network: %w", err)
	} else if out, err := exec.Command("ip", "-br", "address").Output(); err != nil || strings.Contains(string(out), "UP") {
		return fmt.Errorf("this network namespace is in use (%d links, %w): start it by scripts/faults", len(links), err)
	}
	// Names of namespaces are mounts below this folder: ours end with this process.
	if err := os.MkdirAll("/run/netns", 0o755); err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	// Nobody answers questions for names in here: rsync, by which a node comes back, asks several times for each address, and would wait.
	names := filepath.Join(dir, "nsswitch.conf")
	if err := os.WriteFile(names, []byte("passwd: files\ngroup: files\nhosts: files\n"), 0o644); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	for _, args := range [][]string{
		{"mount", "--bind", names, "/etc/nsswitch.conf"},
		{"mount", "-t", "tmpfs", "netns", "/run/netns"},
		{"ip", "link", "set", "lo", "up"},
		{"ip", "address", "add", serverIP + "/32", "dev", "lo"},
	} {
		if err := run(args[0], args[1:]...); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644); err != nil {
		return fmt.Errorf("pass packets on: %w", err)
	}
	return nil
}

// newMachine makes a namespace; number is part of its address.
func newMachine(name string, number int) (*machine, error) {
	m := &machine{name: name, ip: fmt.Sprintf("10.77.%d.2", number), link: "to-" + name, cuts: map[string]direction{}}
	gateway := fmt.Sprintf("10.77.%d.1", number)
	for _, args := range [][]string{
		{"netns", "add", name},
		{"link", "add", m.link, "type", "veth", "peer", "name", "eth0", "netns", name},
		{"address", "add", gateway + "/24", "dev", m.link},
		{"link", "set", m.link, "up"},
		{"-n", name, "link", "set", "lo", "up"},
		{"-n", name, "address", "add", m.ip + "/24", "dev", "eth0"},
		{"-n", name, "link", "set", "eth0", "up"},
		{"-n", name, "route", "add", "default", "via", gateway},
	} {
		if err := run("ip", args...); err != nil {
			return nil, err
		}
	}
	return m, run("tc", "qdisc", "add", "dev", m.link, "clsact")
}

// within is the command that runs another one on the machine.
func (m *machine) within() []string { return []string{"nsenter", "--net=/run/netns/" + m.name} }

// cut drops packets between the machine and an address, or with "" all of its packets. Nobody is told: to both sides the other one is silent.
func (m *machine) cut(other string, d direction) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cuts[other] = d
	return m.apply()
}

// mend lets all packets pass again.
func (m *machine) mend() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.cuts)
	return m.apply()
}

func (m *machine) apply() error {
	for _, side := range []string{"ingress", "egress"} {
		if err := run("tc", "filter", "del", "dev", m.link, side); err != nil {
			return err
		}
	}
	number := 0
	for other, d := range m.cuts {
		for _, side := range []struct {
			name   string
			wanted bool
			offset int // of the other side's address in the packet
		}{{"ingress", d.from, 30}, {"egress", d.to, 26}} {
			if !side.wanted {
				continue
			}
			number++
			program := "1,6 0 0 2" // drop
			if other != "" {
				ip, err := netip.ParseAddr(other)
				if err != nil {
					return fmt.Errorf("cut: %w", err)
				}
				b := ip.As4()
				// Unless it is IPv4 (0x800), and the address is that one: as ever; else drop.
				program = fmt.Sprintf("6,40 0 0 12,21 0 3 2048,32 0 0 %d,21 0 1 %d,6 0 0 2,6 0 0 4294967295", side.offset, binary.BigEndian.Uint32(b[:]))
			}
			if err := run("tc", "filter", "add", "dev", m.link, side.name, "prio", fmt.Sprint(number), "protocol", "all", "bpf", "da", "bytecode", program); err != nil {
				return err
			}
		}
	}
	return nil
}
