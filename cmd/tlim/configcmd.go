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
	var asJSON bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Print the effective configuration as YAML, secrets masked",
		RunE:  func(cmd *cobra.Command, _ []string) error { return showConfig(cmd.OutOrStdout(), *from, asJSON) },
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "Say whether the configuration is fit to run, and all that is wrong with it",
		RunE:  func(cmd *cobra.Command, _ []string) error { return checkConfig(cmd.OutOrStdout(), *from, asJSON) },
	}
	for _, c := range []*cobra.Command{show, check} {
		c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	}
	command.AddCommand(show, check, importCommand(from))
	return command
}

// showConfig prints also what is not fit to run: it is how one finds out why. The problems follow as the error.
func showConfig(out io.Writer, from config.Sources, asJSON bool) error {
	cfg, path, err := config.Load(from)
	if _, unread := problemsOf(err); unread != nil {
		return unread
	}
	if asJSON {
		document, failed := asYAMLHasIt(cfg.Shown())
		if failed == nil {
			failed = printJSON(out, document)
		}
		if failed != nil {
			return fmt.Errorf("print the configuration: %w", failed)
		}
		return err
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

// asYAMLHasIt has the keys and the ways of writing of the configuration file.
func asYAMLHasIt(cfg config.Config) (document map[string]any, err error) {
	text, err := yaml.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	return document, yaml.Unmarshal(text, &document)
}

func checkConfig(out io.Writer, from config.Sources, asJSON bool) error {
	_, path, err := config.Load(from)
	problems, unread := problemsOf(err)
	if unread != nil {
		return unread
	}
	if asJSON {
		return errors.Join(err, printJSON(out, struct {
			File     string   `json:"file"` // "": none was found
			Fit      bool     `json:"fit"`
			Problems []string `json:"problems"`
		}{path, err == nil, whole(problems)}))
	}
	if err == nil {
		fmt.Fprintf(out, "%s: fit to run\n", named(path))
	}
	return err
}

// problemsOf tells what is wrong with a configuration that was read from the fault for which one was not read at all, which is one of usage.
func problemsOf(err error) (problems config.Problems, unread error) {
	if err != nil && !errors.As(err, &problems) {
		return nil, exitError{err, exitUsage}
	}
	return problems, nil
}

func named(path string) string {
	if path == "" {
		return "no configuration file"
	}
	return path
}
