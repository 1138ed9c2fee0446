package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// BuildCommit compiles cmd/tlim as it was at a commit, once per checkout: the binary stays below .run/cache. A clone without its history has no such commit,
// which is an error that says so.
func BuildCommit(ctx context.Context, commit string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	cache := filepath.Join(root, ".run", "cache", "tlim")
	binary := filepath.Join(cache, commit)
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("build tlim of %s: %w", commit, err)
	}
	// Outside of the checkout, so that Go does not take the commit of this one for that of the sources.
	tree, err := os.MkdirTemp("", "tlim-"+commit[:min(12, len(commit))]+"-")
	if err != nil {
		return "", fmt.Errorf("build tlim of %s: %w", commit, err)
	}
	defer os.RemoveAll(tree)
	archive := filepath.Join(tree, "sources.tar")
	for _, step := range []struct {
		dir  string
		argv []string
		hint string
	}{
		{root, []string{"git", "archive", "--output", archive, commit}, "a shallow clone has no history: git fetch --unshallow"},
		{tree, []string{"tar", "-xf", archive}, ""},
		{tree, []string{"go", "build", "-buildvcs=false", "-o", filepath.Join(tree, "tlim.built"), "./cmd/tlim"}, ""},
		{tree, []string{"mv", "tlim.built", fmt.Sprintf("%s.%d", binary, os.Getpid())}, ""}, // perhaps on another disk
	} {
		cmd := exec.CommandContext(ctx, step.argv[0], step.argv[1:]...)
		cmd.Dir = step.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("build tlim of %s: %s: %w\n%s\n%s", commit, step.argv[0], err, bytes.TrimSpace(out), step.hint)
		}
	}
	// At once: another process may be building as well.
	if err := os.Rename(fmt.Sprintf("%s.%d", binary, os.Getpid()), binary); err != nil {
		return "", fmt.Errorf("build tlim of %s: %w", commit, err)
	}
	return binary, nil
}
