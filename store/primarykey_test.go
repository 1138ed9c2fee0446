package store

import (
	"io/fs"
	"path"
	"strings"
	"testing"
)

// A cluster (Galera) wants a primary key on each table: without one a DELETE can fail, and rows come in another order on each node.
func TestEveryTableHasAPrimaryKey(t *testing.T) {
	tables := 0
	err := fs.WalkDir(schemaFiles, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || path.Base(name) != "tables.sql" {
			return err
		}
		text, err := fs.ReadFile(schemaFiles, name)
		if err != nil {
			return err
		}
		for _, one := range strings.Split(string(text), "CREATE TABLE ")[1:] {
			tables++
			if table, _, _ := strings.Cut(one, " "); !strings.Contains(one, "PRIMARY KEY") {
				t.Errorf("%s: %s has no primary key, want one", name, table)
			}
		}
		return nil
	})
	if err != nil || tables < 4*20 {
		t.Errorf("got %d tables, %v, want those of all engines", tables, err)
	}
}
