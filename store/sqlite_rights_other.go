//go:build !windows

package store

import (
	"fmt"
	"os"
)

// closeOff takes the rights of others from a SQLite file and those beside it, and says what it found.
func closeOff(path string) (warnings []string) {
	for _, name := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(name)
		if err != nil || !info.Mode().IsRegular() {
			continue // it is not there, or opening says what is wrong with it
		}
		mode := info.Mode().Perm()
		if mode&0o007 != 0 {
			mode &^= 0o007
			if err := os.Chmod(name, mode); err != nil {
				warnings = append(warnings, fmt.Sprintf("every user of this machine can read %s, which holds everybody's messages, and its rights cannot be changed: %v (chmod 600)", name, err))
				continue
			}
			warnings = append(warnings, fmt.Sprintf("every user of this machine could read %s, which holds everybody's messages; its mode is %#o now", name, mode))
		}
		if mode&0o070 != 0 && name == path {
			warnings = append(warnings, fmt.Sprintf("the group of %s can read everybody's messages: if that is not meant for backups, chmod 600", name))
		}
	}
	return warnings
}
