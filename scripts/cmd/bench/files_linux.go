package main

import (
	"fmt"
	"syscall"
)

// enoughFiles says whether this process may open that many sockets; the server, which has as many, has the same limit.
func enoughFiles(sessions int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("limit of open files: %w", err)
	}
	if wanted := uint64(sessions + spareFiles); limit.Max < wanted {
		return fmt.Errorf("%d sessions want ulimit -Hn of %d, which is %d", sessions, wanted, limit.Max)
	}
	return nil
}

// writeBack writes to the disk what waits for that in memory.
func writeBack() error {
	syscall.Sync()
	return nil
}
