package main

import (
	"path/filepath"
	"slices"
	"testing"

	"tlim/cmd/tlim/config"
	"tlim/store/blob"
)

// TestDiskFolders: uploads leave room where messages are stored, and where files are.
func TestDiskFolders(t *testing.T) {
	cfg := config.Default()
	cfg.Files.Dir = "/srv/files"
	if got := diskFolders(cfg, "/var/lib/tlim/tlim.db"); !slices.Equal(got, []string{"/srv/files", "/var/lib/tlim"}) {
		t.Errorf(`SQLite and a folder: got %q, want ["/srv/files" "/var/lib/tlim"]`, got)
	}
	if got := diskFolders(cfg, ""); !slices.Equal(got, []string{"/srv/files"}) {
		t.Errorf(`a database server and a folder: got %q, want ["/srv/files"]`, got)
	}
	if err := cfg.Files.S3.Endpoint.UnmarshalText([]byte("https://s3.example.com")); err != nil {
		t.Fatal(err)
	}
	if got := diskFolders(cfg, ""); len(got) != 0 {
		t.Errorf("a database server and an object store: got %q, want none", got)
	}
	if got := diskFolders(cfg, "/var/lib/tlim/tlim.db"); !slices.Equal(got, []string{"/var/lib/tlim"}) {
		t.Errorf(`SQLite and an object store: got %q, want ["/var/lib/tlim"]`, got)
	}
}

func TestLeastFree(t *testing.T) {
	dir := t.TempDir()
	free, err := minFree([]string{dir, filepath.Dir(dir)})
	one, errOne := blob.Free(dir)
	if err != nil || errOne != nil || free <= 0 || free > 2*one {
		t.Errorf("got %d bytes free, %v, and %d, %v for one folder, want more than 0 and at most %d, and no error", free, err, one, errOne, 2*one)
	}
	if _, err := minFree([]string{dir, filepath.Join(dir, "none")}); err == nil {
		t.Error("a folder that is not there: got free space, want an error")
	}
}
