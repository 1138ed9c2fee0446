package lab

import (
	"os/exec"
	"syscall"
	"time"
)

// Freeze halts a process, and Thaw makes it go on.
const (
	Freeze = syscall.SIGSTOP
	Thaw   = syscall.SIGCONT
)

// Signal sends a signal to a process, which need not be a child.
func Signal(pid int, sig syscall.Signal) error { return syscall.Kill(pid, sig) }

// EndsWithUs makes a command that is started later end with this process, however that ends.
func EndsWithUs(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// endsWithUsAlone also keeps a terminal's Ctrl-C from the command: it is its starter's, who stops it in order.
func endsWithUsAlone(cmd *exec.Cmd) {
	EndsWithUs(cmd)
	cmd.SysProcAttr.Setpgid = true
}

// exists says whether there is a process.
func exists(pid int) bool { return syscall.Kill(pid, 0) == nil }

// CPUTime is what this process has used: on a machine that does other work too, the time that passes says little.
func CPUTime() (time.Duration, error) {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, err
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}
