//go:build unix

package doctor

import (
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// owner is the name of the user whom a file belongs to.
func owner(info fs.FileInfo) string {
	stat, is := info.Sys().(*syscall.Stat_t)
	if !is {
		return "somebody"
	}
	id := strconv.FormatUint(uint64(stat.Uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return "user " + id
}

// mayWrite says why this user may not write a file, or into a folder.
func mayWrite(path string) error {
	const write, search = 2, 1
	mode := uint32(write)
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		mode |= search
	}
	if err := syscall.Access(path, mode); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
