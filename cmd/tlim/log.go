package main

import (
	"io"
	"log/slog"

	"tlim/cmd/tlim/config"
)

// newLogger writes to out as the configuration says. An unknown level or format, which the check has refused before, counts as
// the default.
func newLogger(out io.Writer, cfg config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // stays info
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
