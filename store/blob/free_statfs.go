//go:build linux || darwin || freebsd

package blob

import "golang.org/x/sys/unix"

// Free says how many bytes a process without special rights may still write to the file system of a folder. Where that cannot be
// known the error is [errors.ErrUnsupported].
func Free(dir string) (int64, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * int64(s.Bsize), nil
}
