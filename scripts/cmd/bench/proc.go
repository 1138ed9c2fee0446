package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// ticksPerSecond is USER_HZ, which Linux has fixed at 100 on all its common platforms.
const ticksPerSecond = 100

// cpuSeconds returns the CPU time that a process has used, all threads, user and system.
func cpuSeconds(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("cpu of process %d: %w", pid, err)
	}
	return parseStat(stat)
}

// parseStat reads utime and stime. The second field is the program's name in brackets and may hold anything.
func parseStat(stat []byte) (float64, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("not a stat line: %.80q", stat)
	}
	ticks := int64(0)
	for _, field := range fields[11:13] { // utime and stime are the fields 14 and 15 of the line, state is the third
		n, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("not a stat line: %.80q: %w", stat, err)
		}
		ticks += n
	}
	return float64(ticks) / ticksPerSecond, nil
}

// workSeconds is cpuSeconds of the threads of a JVM that live and do not compile its code: that ends some minutes after a start, and
// costs several times what a light load does.
func workSeconds(pid int) (float64, error) {
	stats, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err == nil && len(stats) == 0 {
		err = os.ErrProcessDone
	}
	if err != nil {
		return 0, fmt.Errorf("cpu of process %d: %w", pid, err)
	}
	total := 0.0
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) { // the thread ended meanwhile
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("cpu of process %d: %w", pid, err)
		}
		if compiles(stat) {
			continue
		}
		seconds, err := parseStat(stat)
		if err != nil {
			return 0, err
		}
		total += seconds
	}
	return total, nil
}

// compiles says whether a thread is one that compiles: Linux cuts names at 15 bytes.
func compiles(stat []byte) bool {
	return bytes.Contains(stat, []byte("(C1 CompilerThre")) || bytes.Contains(stat, []byte("(C2 CompilerThre"))
}

// residentMiB returns the memory of a process that is in RAM.
func residentMiB(pid int) (float64, error) {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0, fmt.Errorf("not a statm line: %.80q", statm)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("not a statm line: %.80q: %w", statm, err)
	}
	return float64(pages) * float64(os.Getpagesize()) / (1 << 20), nil
}

// loadAverage is the machine's load of the last minute: what else runs on it. "?" when the kernel does not tell.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "?"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// meter measures the CPU time of three processes over a round.
type cpuMeter struct {
	pids  [3]int // component (0: none), server, driver
	begin [3]float64
}

func startMeter(component, server int) (*cpuMeter, error) {
	m := &cpuMeter{pids: [3]int{component, server, os.Getpid()}}
	var err error
	m.begin, err = m.read()
	return m, err
}

func (c *cpuMeter) read() (now [3]float64, err error) {
	for i, pid := range c.pids {
		if pid == 0 {
			continue
		}
		if now[i], err = cpuSeconds(pid); err != nil {
			return now, err
		}
	}
	return now, nil
}

// stop writes what was used into the sample.
func (c *cpuMeter) stop(s *Sample) error {
	end, err := c.read()
	s.CPU, s.Java, s.Driver = end[0]-c.begin[0], end[1]-c.begin[1], end[2]-c.begin[2]
	return err
}
