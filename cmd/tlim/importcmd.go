package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/takeover"
	"tlim/store"
)

// importing is what the command line says of an import.
type importing struct {
	from, to           string
	db, force          bool
	user, passwordFile string
}

func importCommand(from *config.Sources) *cobra.Command {
	var i importing
	command := &cobra.Command{
		Use:   "import OPENFIRE_XML",
		Short: "Make a tlim.yaml of Openfire's conf/openfire.xml, in which the old plugin's settings are",
		Long: "Make a tlim.yaml of Openfire's conf/openfire.xml: its database, and the settings of the old plugin. Each key has a comment on where it comes " +
			"from, and what was dropped is named with the reason. With --db the XMPP domain, the component port and secret, and the plugin's settings are " +
			"read from Openfire's database as well; nothing is changed in it. Passwords go into the file alone, whose mode is 0600.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if from.File != "" || len(from.Set) > 0 {
				return exitError{errors.New("config import reads no configuration of tlim: --output names the file that it writes"), exitUsage}
			}
			i.from = args[0]
			return importConfig(cmd.Context(), cmd.OutOrStdout(), i)
		},
	}
	command.Flags().BoolVar(&i.db, "db", false, "read Openfire's database as well")
	command.Flags().StringVar(&i.to, "output", "tlim.yaml", "file to write")
	command.Flags().BoolVar(&i.force, "force", false, "write over a file that is there")
	command.Flags().StringVar(&i.user, "user", "", "user of the database, where openfire.xml has it encrypted")
	command.Flags().StringVar(&i.passwordFile, "password-file", "", "file with the password of --user, in one line")
	return command
}

func importConfig(ctx context.Context, out io.Writer, i importing) error {
	if _, err := os.Lstat(i.to); err == nil && !i.force {
		return exitError{fmt.Errorf("%s is there already: --force writes over it, --output names another file", i.to), exitUsage}
	}
	login, err := i.login()
	if err != nil {
		return exitError{err, exitUsage}
	}
	document, db, err := readOpenfire(i.from, login)
	if err != nil {
		return exitError{fmt.Errorf("%s: %w", i.from, err), exitUsage}
	}
	rows, why, err := i.rows(ctx, db)
	if err != nil {
		return err
	}
	file := takeover.Convert(document, db, rows, why)
	if err := i.write(file.Text()); err != nil {
		return fmt.Errorf("write %s: %w", i.to, err)
	}
	fmt.Fprintf(out, "%s is written, mode 0600: %d keys set, each with a comment on where it comes from; what was dropped stands at its end with the reason\n", i.to, file.Taken())
	if i.db && why != "" {
		fmt.Fprintf(out, "the database was not read: %s\n", why)
	}
	for _, line := range file.ToDo {
		fmt.Fprintf(out, "to do: %s\n", line)
	}
	for _, line := range file.Notes {
		fmt.Fprintf(out, "note: %s\n", line)
	}
	fmt.Fprintf(out, "then: tlim config check --config %s\n", i.to)
	return nil
}

// login is the one of the command line. Errors do not name the password's file: it may be the password.
func (i importing) login() (login takeover.Login, err error) {
	if (i.user == "") != (i.passwordFile == "") {
		return login, errors.New("--user and --password-file go together")
	}
	if i.user == "" {
		return login, nil
	}
	const longest = 4096
	f, err := os.Open(i.passwordFile)
	if err != nil {
		return login, errors.New("--password-file: the file cannot be opened")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, longest+1))
	password := strings.TrimRight(strings.TrimPrefix(string(data), "\ufeff"), "\r\n")
	if err != nil || len(data) > longest || password == "" || strings.ContainsAny(password, "\r\n") {
		return login, errors.New("--password-file: the file has to have the password alone, in one line")
	}
	return takeover.Login{User: i.user, Password: password}, nil
}

func readOpenfire(path string, login takeover.Login) (*takeover.Document, *takeover.Database, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	defer f.Close()
	document, err := takeover.Read(f)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	db, err := document.Database(login)
	return document, db, err
}

// withoutPath leaves the name of the file to who says it already.
func withoutPath(err error) error {
	var why *fs.PathError
	if errors.As(err, &why) {
		return why.Err
	}
	return err
}

// rows are Openfire's settings in its database; nil, and why, where they cannot be read by this tlim.
func (i importing) rows(ctx context.Context, db *takeover.Database) (rows *store.OpenfireSettings, why string, err error) {
	if !i.db {
		return nil, "--db was not given", nil
	}
	if err := db.Readable(); err != nil {
		return nil, err.Error(), nil
	}
	e, err := store.Examine(ctx, store.Config{Driver: db.Driver, DSN: db.DSN, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, "", fmt.Errorf("--db: %w; without --db what the file alone says is written", err)
	}
	rows, err = e.Openfire(ctx)
	if err = errors.Join(err, e.Close()); err != nil {
		return nil, "", fmt.Errorf("--db: %w", err)
	}
	return rows, "", nil
}

// write makes the file whole or not at all. One that is there is replaced by a new one, so that nobody who may read the old one may
// read this.
func (i importing) write(text []byte) error {
	if same(i.from, i.to) {
		return errors.New("it is the file that is imported")
	}
	f, err := os.CreateTemp(filepath.Dir(i.to), ".tlim-import-*") // mode 0600
	if err != nil {
		return withoutPath(err)
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		if i.force {
			err = os.Rename(f.Name(), i.to)
		} else {
			err = os.Link(f.Name(), i.to) // fails where somebody has made it meanwhile
		}
	}
	if !i.force || err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}

func same(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
