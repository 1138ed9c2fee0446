package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

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
