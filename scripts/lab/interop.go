package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
)

// Interop runs scripts/lab/slixmpp, a stock slixmpp client, on the server s as user with password, and returns the events that it printed, in
// order. args are further flags of client.py ("--to", "lisi", "--peer", "lisi" ...). An exit code other than 0 is an error, with the events that came before.
func Interop(ctx context.Context, s *Server, user, password string, args ...string) ([]map[string]any, error) {
	root, err := Root()
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(s.C2S)
	if err != nil {
		return nil, fmt.Errorf("interop: %w", err)
	}
	args = append([]string{"--port", port, "--domain", s.Domain, "--component", "tlim." + s.Domain, "--user", user, "--password", password}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts", "lab", "slixmpp", "run"), args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()

	var events []map[string]any
	for line := range bytes.Lines(stdout.Bytes()) {
		var event map[string]any
		if err := json.Unmarshal(line, &event); err != nil {
			return events, fmt.Errorf("interop: %q: %w", line, err)
		}
		events = append(events, event)
	}
	if runErr != nil {
		return events, fmt.Errorf("interop: %w: %s %s", errors.Join(runErr, ctx.Err()), stdout.String(), strings.TrimSpace(stderr.String()))
	}
	return events, nil
}
