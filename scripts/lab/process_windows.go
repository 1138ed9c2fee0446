package lab

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// The servers and clients of this package run on Linux. On Windows it is compiled, so that the tests that use it are checked there, too.

// Numbers of Linux, which [Signal] refuses.
const (
	Freeze = syscall.Signal(19)
	Thaw   = syscall.Signal(18)
)

// Signal fails: Windows has no signals.
func Signal(int, syscall.Signal) error { return errors.ErrUnsupported }

// EndsWithUs does nothing: what it starts outlives this process when that is killed.
func EndsWithUs(*exec.Cmd) {}

func endsWithUsAlone(*exec.Cmd) {}

func exists(pid int) bool {
	p, err := os.FindProcess(pid) // fails where there is none
	if err != nil {
		return false
	}
	_ = p.Release() // a handle that was just opened
	return true
}

// CPUTime is what this process has used.
func CPUTime() (time.Duration, error) {
	process, err := syscall.GetCurrentProcess()
	if err != nil {
		return 0, err
	}
	var began, ended, kernel, user syscall.Filetime
	if err := syscall.GetProcessTimes(process, &began, &ended, &kernel, &user); err != nil {
		return 0, err
	}
	span := func(t syscall.Filetime) time.Duration { // in steps of 100 ns; Filetime.Nanoseconds is for dates
		return time.Duration(int64(t.HighDateTime)<<32|int64(t.LowDateTime)) * 100
	}
	return span(kernel) + span(user), nil
}
