package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"tlim/cmd/tlim/config"
)

func configCommand(from *config.Sources) *cobra.Command {
	command := &cobra.Command{
		Use:   "config",
		Short: "Show or check the configuration, or make one of Openfire's",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	command.AddCommand(
		&cobra.Command{
			Use:   "show",
			Short: "Print the effective configuration as YAML, secrets masked",
			RunE:  func(cmd *cobra.Command, _ []string) error { return showConfig(cmd.OutOrStdout(), *from) },
		},
		&cobra.Command{
			Use:   "check",
			Short: "Say whether the configuration is fit to run, and all that is wrong with it",
			RunE:  func(cmd *cobra.Command, _ []string) error { return checkConfig(cmd.OutOrStdout(), *from) },
		},
		importCommand(from),
	)
	return command
}

// showConfig prints also what is not fit to run: it is how one finds out why. The problems follow as the error.
func showConfig(out io.Writer, from config.Sources) error {
	cfg, path, err := config.Load(from)
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return exitError{err, exitUsage}
	}
	fmt.Fprintf(out, "# %s, the environment and the defaults; secrets are masked\n", named(path))
	enc := yaml.NewEncoder(out)
	enc.SetIndent(2)
	if err := enc.Encode(cfg.Shown()); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	if err := enc.Close(); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return err
}

func checkConfig(out io.Writer, from config.Sources) error {
	_, path, err := config.Load(from)
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return exitError{err, exitUsage}
	}
	if err == nil {
		fmt.Fprintf(out, "%s: fit to run\n", named(path))
	}
	return err
}

func named(path string) string {
	if path == "" {
		return "no configuration file"
	}
	return path
}
