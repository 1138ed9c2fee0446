package store

import (
	"fmt"
	"os"
	"path/filepath"

	"tlim/store/private"
)

// closeOff takes the rights of others from a SQLite file and those beside it, and says what it found. SQLite makes the latter
// anew at each start, with the rights of the folder.
func closeOff(path string) (warnings []string) {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue // it is not there, or opening says what is wrong with it
		}
		who, err := private.Readers(name)
		if err == nil && who != "" {
			err = private.Restrict(name)
		}
		switch {
		case err != nil:
			warnings = append(warnings, fmt.Sprintf("others may read %s, which holds everybody's messages, and its rights cannot be changed: %v (%s)", name, err, private.Remedy(name)))
		case who != "":
			warnings = append(warnings, fmt.Sprintf("%s could read %s, which holds everybody's messages; its owner and administrators alone can now", who, name))
		}
	}
	folder := filepath.Dir(path)
	if who, err := private.Readers(folder); err == nil && who != "" {
		warnings = append(warnings, fmt.Sprintf("%s can read what SQLite makes beside %s, for the folder is open: give the database a folder of its own, and take their rights from it (tlim service install does so)", who, path))
	}
	return warnings
}
