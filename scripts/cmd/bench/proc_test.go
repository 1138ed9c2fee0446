package main

import (
	"fmt"
	"os"
	"testing"
)

func TestParseStat(t *testing.T) {
	// A name with blanks and brackets moves the fields for those who count from the left.
	line := "42 (a) (b c) S 1 42 42 0 -1 4194560 1000 0 5 0 1250 350 7 8 20 0 12 0 100 200 300"
	if got, err := parseStat([]byte(line)); err != nil || got != 16 {
		t.Errorf("%v s, %v; want 16", got, err)
	}
	for _, bad := range []string{"", "42 (a) S 1 2", "42 (a) S 1 42 42 0 -1 4194560 1000 0 5 0 x 350 7 8"} {
		t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) {
			if _, err := parseStat([]byte(bad)); err == nil {
				t.Errorf("%q is taken for a stat line, want an error", bad)
			}
		})
	}
}

func TestCompiles(t *testing.T) {
	for stat, want := range map[string]bool{"7 (C2 CompilerThre) S 1": true, "7 (C1 CompilerThre) R 1": true, "7 (component-threa) S 1": false} {
		t.Run(stat, func(t *testing.T) {
			if compiles([]byte(stat)) != want {
				t.Errorf("got %v, want compiles %v", !want, want)
			}
		})
	}
}

// The kernel's own files have the form that is expected.
func TestProc(t *testing.T) {
	before, err := cpuSeconds(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for after := before; after-before < 0.05; { // the test's time-out ends it when the figure never grows
		if after, err = cpuSeconds(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	// In a process without compiling threads all of its time is work, but for that of threads that are gone.
	worked, err := workSeconds(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if all, err := cpuSeconds(os.Getpid()); err != nil || worked < 0.02 || worked > all+0.02 {
		t.Errorf("got %v s of work in %v s of CPU time, %v, want 0.02 s to %v s and no error", worked, all, err, all+0.02)
	}
	if mib, err := residentMiB(os.Getpid()); err != nil || mib < 1 || mib > 1<<14 {
		t.Errorf("got %v MiB, %v, want 1 to %v and no error", mib, err, 1<<14)
	}
	if _, err := workSeconds(1 << 30); err == nil {
		t.Error("a process that there is not has worked, want an error")
	}
	if _, err := cpuSeconds(1 << 30); err == nil {
		t.Error("a process that there is not has a CPU time, want an error")
	}
}
