package system

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The README's calls, which are those of the old documents, run by a shell as they stand there.
func TestReadme(t *testing.T) {
	w := newWorld(t, openfire, nil)
	text := string(must[[]byte](t)(os.ReadFile("../../README.md")))
	_, script, found := strings.Cut(text, "```bash\n")
	script, _, ended := strings.Cut(script, "```\n")
	const address = "http://127.0.0.1:9595"
	if !found || !ended || strings.Count(script, address) != 1 {
		t.Fatalf("the README has no such calls: got %q, want found, ended, once %q", script, address)
	}
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, "tlim.key"), []byte(adminKey+"\n"), 0o600))
	cmd := exec.CommandContext(within(t, soon), "bash", "-euo", "pipefail", "-c", strings.Replace(script, address, w.tlim.URL, 1))
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("got %v, want no error: %s", err, out)
	}
	answers := map[string]map[string]any{}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	var calls []string
	for _, line := range strings.Split(script, "\n") {
		if _, call, found := strings.Cut(strings.ReplaceAll(line, `"`, "'"), "call '"); found && !strings.HasPrefix(line, "S=") {
			path, _, _ := strings.Cut(call, "?")
			calls = append(calls, path)
		}
	}
	if len(calls) != 12 || len(lines) != len(calls) {
		t.Fatalf("%d answers to %q: %s, want 12 calls, %d lines", len(lines), calls, out, len(calls))
	}
	for i, line := range lines {
		var answer map[string]any
		if err := json.Unmarshal([]byte(line), &answer); err != nil || answer["result"] != "ok" || answer["result_detail"] != "" {
			t.Errorf(`%s: got %v %s, want ok, result_detail "", no error`, calls[i], err, line)
		}
		answers[calls[i]] = answer
	}
	size := func(path, list string) int {
		l, _ := answers[path][list].([]any)
		return len(l)
	}
	if size("findSessions", "sessions") != 1 || size("findSubscribers", "subscribers") != 3 || size("getOffline", "message_list") != 2 ||
		answers["findSubscribers"]["session_name"] != "项目组" || answers["findSessionHistory"]["total"] != 0.0 {
		t.Errorf("got %s, want 1 session with 3 members, 2 messages in the queue, the name 项目组 and an empty history", out)
	}
	for _, documented := range []string{"modifySession", "deleteSession", "updateSessionPic", "approval", "systemMessage", "registerAppPushCode", "addUser", "removeUser"} {
		if !slices.Contains(calls, documented) {
			t.Errorf("the document shows %v, want %s among them", calls, documented)
		}
	}
}
