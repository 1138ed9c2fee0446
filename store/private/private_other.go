//go:build !windows

package private

import (
	"fmt"
	"io/fs"
	"os"
)

func create(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

func restrict(path string) error {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 { // some file systems know no change of modes
		return err
	}
	return os.Chmod(path, info.Mode().Perm()&0o700)
}

func readers(path string) (string, error)   { return permitted(path, 0o077) }
func strangers(path string) (string, error) { return permitted(path, 0o007) }

func permitted(path string, whom fs.FileMode) (string, error) {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&whom == 0 {
		return "", err
	}
	return fmt.Sprintf("mode %#o", info.Mode().Perm()), nil
}

func remedy(path string) string {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return "chmod o= " + path
	}
	return "chmod 600 " + path
}
