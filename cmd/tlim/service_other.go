//go:build !windows

package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
)

// asService is for Windows, whose services are told to stop by other means than signals.
func asService(_ chan<- os.Signal, stderr io.Writer, work func(stderr io.Writer) error) error {
	return work(stderr)
}

func platformCommands() []*cobra.Command { return nil }
