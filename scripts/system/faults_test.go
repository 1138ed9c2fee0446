package system

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"tlim/scripts/lab"
)

// A whole site, with a database cluster and two tlim in network namespaces, is broken twice under load, and the checker finds nothing.
// All kinds of faults, for hours: scripts/faults.
func TestFaults(t *testing.T) {
	t.Parallel() // it waits for most of its time
	if out, err := exec.Command("unshare", "--net", "--mount", "true").CombinedOutput(); err != nil || os.Getuid() != 0 {
		t.Logf("NOT TESTED: this machine allows no network namespaces: %v %s", err, out)
		return
	}
	root := must[string](t)(lab.Root())
	cmd := exec.CommandContext(within(t, patience), filepath.Join(root, "scripts", "faults"), "-n", "2", "-seed", "6", "-longest", "6s",
		"-only", "the leader is killed,between leader and database")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	check(t, err)
	if !regexp.MustCompile(`: 2 faults in .*, [1-9][0-9]* messages acknowledged of .* Lost 0, doubled 0, other orders 0, interleaved 0, untrue 0, not to be judged 0\.`).Match(out) {
		t.Error("got another summary, want one of 2 faults without a violation")
	}
}
