package main

import (
	"context"
	"fmt"
	"time"
)

const (
	memoryMessages = 100_000
	// memoryRate is messages a second. Below what the machine can do, so that the run is longer than the seconds for
	// which copies are unconfirmed: memory for those belongs to the rate, and must not grow with the number of messages.
	memoryRate    = 5000
	memorySamples = 40
)

// memory sends messages at an even rate through ours and watches the process's memory.
func (r *rig) memory(ctx context.Context, mode *chatMode, messages int) (Sample, error) {
	perPair := messages / chatPairs
	whole := time.Duration(float64(messages) / memoryRate * float64(time.Second))
	ctx, cancel := context.WithTimeout(ctx, 3*whole+patience)
	defer cancel()

	watch := watchMemory(mode.pid, whole/memorySamples)
	start := time.Now()
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	sample, err := mode.run(ctx, r, 3*whole, func(sent int) bool {
		if sent >= perPair {
			return false
		}
		// A pair is as far as the clock says, give or take a window.
		for due := 0; sent > due; {
			due = int(time.Since(start).Seconds() * memoryRate / chatPairs)
			if sent <= due || ctx.Err() != nil {
				break
			}
			<-pace.C
		}
		return true
	})
	resident, watchErr := watch.stop()
	if err == nil {
		err = watchErr
	}
	if err != nil {
		return sample, err
	}
	if len(resident) < 8 {
		return sample, fmt.Errorf("memory: only %d samples", len(resident))
	}
	sample.All = resident
	sample.Value = median(resident[3*len(resident)/4:])
	return sample, nil
}

// growth is the median memory of the last quarter over that of the second: the first is the way to the working size.
func growth(resident []float64) float64 {
	quarter := len(resident) / 4
	return median(resident[3*quarter:]) / median(resident[quarter:2*quarter])
}

// memoryWatch reads a process's memory again and again until it is stopped.
type memoryWatch struct {
	quit     chan struct{}
	done     chan struct{} // closed when the two below are final
	resident []float64     // MiB
	err      error
}

func watchMemory(pid int, every time.Duration) *memoryWatch {
	w := &memoryWatch{quit: make(chan struct{}), done: make(chan struct{})}
	go func() { // ended by stop
		defer close(w.done)
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			mib, err := residentMiB(pid)
			if err != nil {
				w.err = err
				return
			}
			w.resident = append(w.resident, mib)
			select {
			case <-w.quit:
				return
			case <-ticker.C:
			}
		}
	}()
	return w
}

// stop ends the watch and returns what it saw, MiB; the first value is from its beginning. It is called once.
func (m *memoryWatch) stop() ([]float64, error) {
	close(m.quit)
	<-m.done
	return m.resident, m.err
}
