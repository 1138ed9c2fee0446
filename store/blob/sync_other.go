//go:build !windows

package blob

import "os"

// syncFolder makes the names in a folder last.
func syncFolder(dir *os.File) error { return dir.Sync() }
