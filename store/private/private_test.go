package private

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestFilesAreTheirOwners(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("secret"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for name, who := range map[string]func(string) (string, error){"readers": Readers, "strangers": Strangers} {
		if got, err := who(path); got != "" || err != nil {
			t.Errorf("%s of a new file: got %q, %v, want nobody", name, got, err)
		}
	}
	if _, err := Create(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("the same file again: got %v, want that it exists", err)
	}
	if _, err := Readers(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: got %v, want that it does not exist", err)
	}
	folder := filepath.Join(dir, "files")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Restrict(folder); err != nil {
		t.Fatal(err)
	}
	if got, err := Readers(folder); got != "" || err != nil {
		t.Errorf("a folder: got %q, %v, want nobody", got, err)
	}
	if !strings.Contains(Remedy(path), path) {
		t.Errorf("the remedy is %q, want one for %s", Remedy(path), path)
	}
	if runtime.GOOS == "windows" {
		return // modes are nothing there
	}
	for mode, want := range map[fs.FileMode][2]string{0o644: {"mode 0644", "mode 0644"}, 0o640: {"mode 0640", ""}, 0o400: {"", ""}} {
		t.Run(mode.String(), func(t *testing.T) {
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			all, _ := Readers(path) // of a file that is there
			strangers, _ := Strangers(path)
			if got := [2]string{all, strangers}; got != want {
				t.Errorf("%v: got readers and strangers %q, want %q", mode, got, want)
			}
		})
	}
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	if err := Restrict(path); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("restricted: got %v, %v, want mode 0600", info.Mode(), err)
	}
}
