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
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "my tlim.db")
				modes := func(want os.FileMode) {
					t.Helper()
					for _, file := range []string{path, path + "-wal", path + "-shm"} {
						info, err := os.Stat(file)
						if err != nil {
							t.Fatal(err)
						}
						if got := info.Mode().Perm(); got != want {
							t.Errorf("umask %#o: %s: %v, want %v", umask, file, got, want)
						}
					}
				}
				open := func() []string {
					s, err := Open(t.Context(), Config{DSN: dsn(path)})
					if err != nil {
						t.Fatal(err)
					}
					defer s.Close()
					info, err := os.Stat(path)
					if err != nil {
						t.Fatal(err)
					}
					modes(info.Mode().Perm())
					return s.Report().Warnings
				}
				if got := open(); len(got) > 0 {
					t.Errorf("a new file: got %q, want none", got)
				}
				mode := func(want os.FileMode) {
					t.Helper()
					if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
						t.Errorf("umask %#o: %v, %v, want %v", umask, info.Mode(), err, want)
					}
				}
				mode(0o600)
				for _, was := range []struct {
					mode, becomes os.FileMode
					said          []string
				}{{0o644, 0o640, []string{"could read", "the group of"}}, {0o604, 0o600, []string{"could read"}}, {0o640, 0o640, []string{"the group of"}}, {0o600, 0o600, nil}} {
					if err := os.Chmod(path, was.mode); err != nil {
						t.Fatal(err)
					}
					got := open()
					mode(was.becomes)
					if len(got) != len(was.said) {
						t.Fatalf("%v: got %q, want %v", was.mode, got, len(was.said))
					}
					for i := range got {
						if !strings.Contains(got[i], was.said[i]) {
							t.Errorf("%v: got %q, want %q in it", was.mode, got, was.said[i])
						}
					}
				}
			})
		}
	}
}

// Whoever makes no tables makes no file.
func TestNoFileWithoutTables(t *testing.T) {
	path := filepath.Join(t.TempDir(), "missing.db")
	for _, cfg := range []Config{{DSN: path, Migrate: MigrateCheck}, {DSN: path, Migrate: MigrateOff}, {DSN: "file:" + path + "?mode=rw"}} {
		t.Run(fmt.Sprintf("%+v", cfg), func(t *testing.T) {
			if _, err := Open(t.Context(), cfg); err == nil {
				t.Errorf("%+v: opened, want an error", cfg)
			}
			if err := CheckDSN("sqlite", cfg.DSN); err != nil {
				t.Errorf("CheckDSN: got %v, want no error", err)
			}
			if _, err := os.Stat(path); !os.IsNotExist(err) {
				t.Errorf("%+v: got %v, want no file", cfg, err)
			}
		})
	}
}
