//go:build unix

package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The file and those beside it are their owner's alone, whatever the umask; a file that others could read no longer is one.
func TestRightsOfTheFile(t *testing.T) {
	escaped := strings.NewReplacer(" ", "%20", "#", "%23")
	for _, umask := range []int{0, 0o022, 0o077} {
		old := syscall.Umask(umask)
		t.Cleanup(func() { syscall.Umask(old) })
		for name, dsn := range map[string]func(path string) string{
			"path": func(path string) string { return path },
			"file": func(path string) string { return "file:" + escaped.Replace(path) },
			"URI":  func(path string) string { return "file://" + escaped.Replace(path) + "?mode=rwc" },
		} {
			t.Run(fmt.Sprintf("%s, umask %#o", name, umask), func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "my tlim.db")
				modes := func(t *testing.T, want os.FileMode) {
					t.Helper()
					for _, file := range []string{path, path + "-wal", path + "-shm"} {
						info, err := os.Stat(file)
						if err != nil {
							t.Fatal(err)
						}
						if got := info.Mode().Perm(); got != want {
							t.Errorf("umask %#o: %s: got %v, want %v", umask, file, got, want)
						}
					}
				}
				open := func(t *testing.T) []string {
					t.Helper()
					s, err := Open(t.Context(), Config{DSN: dsn(path)})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					modes(t, info.Mode().Perm())
					return s.Report().Warnings
				}
				if got := open(t); len(got) > 0 {
					t.Errorf("a new file: got %q, want none", got)
				}
				mode := func(t *testing.T, want os.FileMode) {
					t.Helper()
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					if got := info.Mode().Perm(); got != want {
						t.Errorf("umask %#o: got %v, want %v", umask, got, want)
					}
				}
				mode(t, 0o600)
				for _, was := range []struct {
					mode, becomes os.FileMode
					said          []string
				}{{0o644, 0o640, []string{"could read", "the group of"}}, {0o604, 0o600, []string{"could read"}}, {0o640, 0o640, []string{"the group of"}}, {0o600, 0o600, nil}} {
					t.Run(was.mode.String(), func(t *testing.T) {
						if err := os.Chmod(path, was.mode); err != nil {
							t.Fatal(err)
						}
						got := open(t)
						mode(t, was.becomes)
						if len(got) != len(was.said) {
							t.Fatalf("%v: got %q, want %d warnings", was.mode, got, len(was.said))
						}
						for i := range got {
							if !strings.Contains(got[i], was.said[i]) {
								t.Errorf("%v: got %q, want %q in it", was.mode, got, was.said[i])
							}
						}
					})
				}
			})
		}
	}
}
