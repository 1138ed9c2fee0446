//go:build !(linux || darwin || freebsd)

package blob

import "errors"

// Free says how many bytes a process without special rights may still write to the file system of a folder. Where that cannot be
// known the error is [errors.ErrUnsupported].
func Free(string) (int64, error) { return 0, errors.ErrUnsupported }
