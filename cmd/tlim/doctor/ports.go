package doctor

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// checkListener: its address is free, or a process serves and has it.
func (s *Site) checkListener(key, address string) func(context.Context) []Finding {
	return func(context.Context) []Finding {
		if key == "metrics.listen" && (kept(s, &s.mute) || kept(s, &s.foreign)) {
			return skipped("process (tlim serve) comes first")
		}
		who := holder(portOf(address))
		if s.Serving() {
			return ok("%s (%s) is the process's that serves%s", key, address, who)
		}
		err := s.CanListen(key, address)
		if err == nil {
			return ok("%s (%s) is free", key, address)
		}
		seen, remedy, _ := strings.Cut(strings.TrimPrefix(err.Error(), key+": "), ": ")
		return failure(remedy, "%s: %s%s", key, seen, who)
	}
}

func portOf(address string) string {
	_, port, _ := net.SplitHostPort(address) // its form was checked
	return port
}

// holder names the program that listens on a port, where this system tells and lets us see.
func holder(port string) string {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return ""
	}
	const listening = "0A"
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue // another system
		}
		for line := range strings.Lines(string(text)) {
			f := strings.Fields(line) // sl local rem st tx:rx tr:when retrnsmt uid timeout inode
			if len(f) > 9 && f[3] == listening && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", number)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return ""
	}
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*") // its one error is a wrong pattern
	for _, fd := range open {
		if target, err := os.Readlink(fd); err != nil || !sockets[target] {
			continue // not ours to see, or gone
		}
		process := filepath.Dir(filepath.Dir(fd))
		name, err := os.ReadFile(filepath.Join(process, "comm"))
		if err != nil {
			continue
		}
		return fmt.Sprintf("; it is %s, process %s", strings.TrimSpace(string(name)), filepath.Base(process))
	}
	return "; whose it is only root can see"
}

// checkCallers names who calls without a key.
func (s *Site) checkCallers(ctx context.Context) []Finding {
	open, how := s.Config.HTTP.Open(), s.Config.HTTP.AllowAnonymous
	if !s.Serving() {
		if open {
			return warning("see `tlim keys usage` when tlim has run for a while, give keys to who still calls without one (http.keys), then http.allow_anonymous: none",
				"http.allow_anonymous is %s: whoever reaches the API calls without a key; who does can be seen only while a process serves", how)
		}
		return ok("nobody may call without a key")
	}
	callers, err := s.Keyless(ctx)
	switch {
	case err != nil:
		return skipped("who calls is not known: %v", err)
	case len(callers) > 0 && !open:
		return warning("give them keys (http.keys), or tokens", "calls without a key were refused since the start: %s", few(callers))
	case len(callers) > 0:
		return warning("give them keys (http.keys), or tokens, then set http.allow_anonymous: none", "calls come without a key: %s", few(callers))
	case open:
		return warning("set http.allow_anonymous: none when that stays so", "http.allow_anonymous is %s, and nobody has called without a key since the start", how)
	}
	return ok("nobody has called without a key since the start")
}

// few are the first of a list.
func few(list []string) string {
	const maxNamed = 5
	if len(list) > maxNamed {
		return strings.Join(list[:maxNamed], ", ") + fmt.Sprintf(" and %d more", len(list)-maxNamed)
	}
	return strings.Join(list, ", ")
}
