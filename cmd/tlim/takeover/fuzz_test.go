package takeover

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlim/cmd/tlim/config"
)

// FuzzImport: whatever the file, there is an error of one line or a file that YAML reads, and neither the error nor what is to do
// shows a password.
func FuzzImport(f *testing.F) {
	f.Add(provided("jdbc:mysql://db:3307/openfire?useSSL=false", "u", hush, whole))
	f.Add(provided("jdbc:oracle:thin:u/"+hush+"@db:1521:im", "u", "p", ""))
	f.Add(provided("jdbc:jtds:sqlserver://db/im;instance=a;password="+hush, "u", "p", ""))
	f.Add(provided(`jdbc:sqlserver://db\x;databaseName=im;password={`+hush+`}`, "u", "p", ""))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Read(strings.NewReader(text))
		var db *Database
		if err == nil {
			db, err = d.Database(Login{})
		}
		if err != nil {
			if strings.Contains(err.Error(), hush) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got the error %q, want one line without the password", err)
			}
			return
		}
		file := Convert(d, db, rows(), "")
		if said := strings.Join(append(file.ToDo, file.Notes...), " "); strings.Contains(said, hush) {
			t.Errorf("what is to do: got %q, want it without the password", said)
		}
		path := filepath.Join(dir, "tlim.yaml")
		if err := os.WriteFile(path, file.Text(), 0o600); err != nil {
			t.Fatal(err)
		}
		// A value that is wrong is for config import to find, which checks what it wrote.
		if _, _, err := config.Load(config.Sources{File: path}); err != nil && strings.Contains(err.Error(), "YAML") {
			t.Errorf("got %v of\n%s\nwant a file that YAML reads", err, file.Text())
		}
	})
}
