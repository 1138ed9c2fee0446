package main

import (
	"os"
	"syscall"
	"time"
)

// echoTime is within which a second signal to end is the first one again: timeout(1) and others send it to a process and to its group, and a
// terminal's SIGINT comes together with a supervisor's SIGTERM.
const echoTime = time.Second

// withoutEchoes passes signals on until done is closed. A SIGHUP is never an echo: what it has read may have changed since.
func withoutEchoes(signals <-chan os.Signal, done <-chan struct{}) <-chan os.Signal {
	heard := make(chan os.Signal, signalRoom)
	go func() {
		var at time.Time // of the last one to end that was passed on
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				if sig != syscall.SIGHUP {
					if !at.IsZero() && time.Since(at) < echoTime {
						continue
					}
					at = time.Now()
				}
				select {
				case heard <- sig:
				default: // nobody listens: more of them say nothing new
				}
			}
		}
	}()
	return heard
}
