package main

import (
	"os"
	"testing"
	"time"
)

func TestMemoryWatch(t *testing.T) {
	resident, err := watchMemory(os.Getpid(), time.Hour).stop()
	if err != nil || len(resident) != 1 || resident[0] <= 1 {
		t.Errorf("got %v MiB, %v, want one figure above 1 and no error", resident, err)
	}
	if _, err := watchMemory(0, time.Hour).stop(); err == nil {
		t.Error("a process that there is not has memory, want an error")
	}
}
