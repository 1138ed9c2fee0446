package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// HeapUse is what the heap of a JVM held at a time, as jstat -gc tells. Shares are of what may be used at most.
type HeapUse struct {
	At   time.Time
	Old  float64       // old generation: 0 to 1
	Full int           // full collections since its start
	GC   time.Duration // that collections took since its start
}

// heapEvery is how often it is looked at.
const heapEvery = 250 * time.Millisecond

// watchHeap looks at the server's heap until the returned function is called.
func (s *Server) watchHeap(ctx context.Context) func() ([]HeapUse, error) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	var list []HeapUse
	var err error
	go func() {
		defer close(done)
		list, err = heapOf(ctx, s.PID)
	}()
	return func() ([]HeapUse, error) {
		cancel()
		<-done
		return list, err
	}
}

func heapOf(ctx context.Context, pid int) ([]HeapUse, error) {
	capacity, err := oldCapacity(ctx, pid)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "jstat", "-gc", strconv.Itoa(pid), strconv.Itoa(int(heapEvery.Milliseconds())))
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("jstat: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("jstat: %w", err)
	}
	var list []HeapUse
	var columns []string
	var parseErr error
	for lines := bufio.NewScanner(out); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if columns == nil {
			columns = fields
			continue
		}
		values, err := jstatLine(columns, fields)
		if err != nil {
			parseErr = err
			break
		}
		list = append(list, HeapUse{At: time.Now(), Old: values["OU"] / capacity, Full: int(values["FGC"]), GC: time.Duration(values["GCT"] * float64(time.Second))})
	}
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		parseErr = errors.Join(parseErr, fmt.Errorf("jstat: %w", err))
	}
	return list, parseErr
}

// oldCapacity is how large the old generation may become, in KiB.
func oldCapacity(ctx context.Context, pid int) (float64, error) {
	out, err := exec.CommandContext(ctx, "jstat", "-gccapacity", strconv.Itoa(pid)).Output()
	if err != nil {
		return 0, fmt.Errorf("jstat -gccapacity: %w", err)
	}
	head, values, ok := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if !ok {
		return 0, fmt.Errorf("jstat -gccapacity: %q", out)
	}
	capacity, err := jstatLine(strings.Fields(head), strings.Fields(values))
	if err != nil {
		return 0, err
	}
	return capacity["OGCMX"], nil
}

// jstatLine reads a line of values below their names. A collector that has no such count has "-" there.
func jstatLine(names, fields []string) (map[string]float64, error) {
	if len(names) != len(fields) {
		return nil, fmt.Errorf("jstat: %d values for %d columns", len(fields), len(names))
	}
	values := map[string]float64{}
	for i, name := range names {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil && fields[i] != "-" {
			return nil, fmt.Errorf("jstat: %s is %q", name, fields[i])
		}
		values[name] = v
	}
	return values, nil
}
