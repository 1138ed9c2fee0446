// Command tlim is an XMPP component beside an existing server: group chat, offline queue, read receipts and an HTTP API.
//
// This package wires the parts and nothing else: wire.go turns the configuration (package config) into that of each part, app.go starts
// and stops them, admin.go answers operators, serve.go listens to signals.
//
// Exit codes: 0 done, 1 failed, 2 the command line or the configuration is wrong, 3 another process has taken the database
// over. After 2 and 3 a restart does not help, and after 3 it would harm: the two would depose each other for ever. 5: the same with
// standby.enabled, where a restart is wanted: it stands by.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tlim/cmd/tlim/config"
)

const (
	exitFailed = 1
	exitUsage  = 2
	exitFenced = 3
	// 4 is exitSilent, of tlim status.
	exitDeposed = 5
	exitAbort   = 130 // what shells use for a process that a second signal ended
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command and returns the exit code.
func run(args []string, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	var problems config.Problems
	var exit exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &problems):
		for _, p := range problems {
			fmt.Fprintln(stderr, "tlim:", p)
		}
		return exitUsage
	case errors.As(err, &exit):
		fmt.Fprintln(stderr, "tlim:", exit.error)
		return exit.code
	}
	fmt.Fprintln(stderr, "tlim:", strings.ReplaceAll(err.Error(), "\n", "\ntlim: "))
	return exitFailed
}

// exitError carries an exit code of its own.
type exitError struct {
	error
	code int
}

func (e exitError) Unwrap() error { return e.error }

func rootCommand() *cobra.Command {
	var from config.Sources
	root := &cobra.Command{
		Use:               "tlim",
		Short:             "Group chat, offline queue, read receipts and an HTTP API beside an XMPP server",
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		Args:              cobra.NoArgs,
		Version:           version(),
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("tlim {{.Version}}\n")
	root.PersistentFlags().StringVar(&from.File, "config", "", "configuration file (default: ./tlim.yaml, then "+config.SystemFile()+", if there)")
	root.PersistentFlags().StringArrayVar(&from.Set, "set", nil, "KEY=VALUE, above file and environment; may be repeated")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return exitError{wrongFlag(cmd, err), exitUsage} })
	root.AddCommand(serveCommand(&from), statusCommand(&from), configCommand(&from), tokenCommand(&from), keysCommand(&from), eventsCommand(&from), cleanupCommand(&from), traceCommand(&from), usersCommand(&from), groupsCommand(&from), doctorCommand(&from), selftestCommand(&from), migrateCommand(&from), completionCommand(), versionCommand())
	root.AddCommand(platformCommands()...)
	usageErrors(root)
	return root
}

// usageErrors gives superfluous arguments and unknown commands the exit code of a wrong command line. What is wrong is shown only
// where it is like what would be right: it may be a secret, and errors are kept in logs.
func usageErrors(cmd *cobra.Command) {
	check := cmd.Args
	if check == nil {
		check = cobra.NoArgs
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) != nil {
			return exitError{wrongArgument(cmd, args), exitUsage}
		}
		return nil
	}
	for _, c := range cmd.Commands() {
		usageErrors(c)
	}
}

func wrongArgument(cmd *cobra.Command, args []string) error {
	if !cmd.HasSubCommands() || len(args) == 0 {
		return fmt.Errorf("wrong arguments; write: %s", cmd.UseLine())
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	if near, like := config.Nearest(args[0], names); like {
		return fmt.Errorf("unknown command %s; the nearest one is %s %s", args[0], cmd.CommandPath(), near)
	}
	return fmt.Errorf("unknown command; %s has %s", cmd.CommandPath(), strings.Join(names, ", "))
}

func wrongFlag(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		var valueless *pflag.ValueRequiredError
		if errors.As(err, &valueless) {
			return err // its text is the name of a flag
		}
		return fmt.Errorf("a flag has a value that it does not take: see %s --help", cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	name := strings.ReplaceAll(unknown.GetSpecifiedName(), "-", "_")
	if near, like := config.Nearest(name, names); like {
		return fmt.Errorf("unknown flag --%s; the nearest one is --%s", unknown.GetSpecifiedName(), near)
	}
	return fmt.Errorf("unknown flag: see %s --help", cmd.CommandPath())
}

// printJSON writes one document, for people to read as well.
func printJSON(out io.Writer, document any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(document)
}
