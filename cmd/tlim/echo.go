package main

import (
	"os"
	"syscall"
	"time"
)

// echoTime is within which the same signal again is the same one: timeout(1) and others send it to a process and to its group.
const echoTime = 200 * time.Millisecond

// withoutEchoes passes signals on until done is closed. A SIGHUP is never an echo: what it has read may have changed since.
func withoutEchoes(signals <-chan os.Signal, done <-chan struct{}) <-chan os.Signal {
	heard := make(chan os.Signal, signalRoom)
	go func() {
		var last os.Signal
		var at time.Time
		for {
			select {
			case <-done:
				return
			case sig := <-signals:
				if sig == last && sig != syscall.SIGHUP && time.Since(at) < echoTime {
					continue
				}
				last, at = sig, time.Now()
				select {
				case heard <- sig:
				default: // nobody listens: more of them say nothing new
				}
			}
		}
	}()
	return heard
}
