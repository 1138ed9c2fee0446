package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

var manual = flag.String("manual", "", "the folder into which TestManual writes the man pages and the completions; their date is SOURCE_DATE_EPOCH")

// Each command has a man page, and each shell its completion. scripts/package takes them from here, so that what makes them is not in the program.
func TestManual(t *testing.T) {
	dir := *manual
	if dir == "" {
		dir = t.TempDir()
	}
	root := rootCommand()
	root.DisableAutoGenTag = true
	for name, folder := range map[string]string{"man": filepath.Join(dir, "man"), "completion": filepath.Join(dir, "completion")} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "tlim", Manual: "tlim"}, filepath.Join(dir, "man")); err != nil {
		t.Fatal(err)
	}
	pages := 0
	var look func(c *cobra.Command)
	look = func(c *cobra.Command) {
		if !c.IsAvailableCommand() && c != root {
			return
		}
		page := readText(t, filepath.Join(dir, "man", strings.ReplaceAll(c.CommandPath(), " ", "-")+".1"))
		if !strings.Contains(page, ".TH ") || !strings.Contains(strings.ReplaceAll(page, `\-`, "-"), c.Short) {
			t.Errorf("the page of %s lacks its heading or %q, want both:\n%s", c.CommandPath(), c.Short, page)
		}
		pages++
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(root)
	if pages < 15 {
		t.Errorf("got %d pages, want one for each command", pages)
	}
	for shell, file := range map[string]string{"bash": "tlim.bash", "zsh": "_tlim", "fish": "tlim.fish", "powershell": "tlim.ps1"} {
		t.Run(shell, func(t *testing.T) {
			code, out, errs := runCommand(t, "completion", shell)
			if code != 0 || errs != "" || !strings.Contains(out, "__complete") {
				t.Errorf("completion %s: got %d, %d bytes, %q, want 0 and a script that asks tlim __complete", shell, code, len(out), errs)
			}
			if err := os.WriteFile(filepath.Join(dir, "completion", file), []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
	if code, out, _ := runCommand(t, "__complete", "stat"); code != 0 || !strings.HasPrefix(out, "status\t") {
		t.Errorf("what follows stat: got %d, %q, want status", code, out)
	}
	if code, _, errs := runCommand(t, "completion", "tcsh"); code != exitUsage || !bytes.HasPrefix([]byte(errs), []byte("tlim: wrong arguments")) {
		t.Errorf("another shell: got %d, %q, want %d and a wrong argument", code, errs, exitUsage)
	}
}
