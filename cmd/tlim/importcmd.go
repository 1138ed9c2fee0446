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
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/takeover"
	"tlim/store"
	"tlim/store/private"
)

// importing is what the command line says of an import.
type importing struct {
	from, to, data     string
	db, force, asJSON  bool
	user, passwordFile string
	wait               time.Duration // for the database
}

func importCommand(from *config.Sources) *cobra.Command {
	i := importing{wait: 10 * time.Second}
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
	command.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		for _, name := range []string{"config", "set"} { // which it does not take
			cmd.InheritedFlags().Lookup(name).Hidden = true
		}
		cmd.Parent().HelpFunc()(cmd, args)
	})
	command.Flags().BoolVar(&i.db, "db", false, "read Openfire's database as well")
	command.Flags().StringVar(&i.to, "output", "tlim.yaml", "file to write")
	command.Flags().StringVar(&i.data, "data", "", "folder of what tlim writes itself (default: beside the file; "+packagedData+" for one in "+packagedFolder+")")
	command.Flags().BoolVar(&i.force, "force", false, "write over a file that is there")
	command.Flags().StringVar(&i.user, "user", "", "user of the database, where openfire.xml has it encrypted")
	command.Flags().BoolVar(&i.asJSON, "json", false, "print JSON")
	command.Flags().StringVar(&i.passwordFile, "password-file", "", "file with the password of --user, in one line")
	return command
}

func importConfig(ctx context.Context, out io.Writer, i importing) error {
	if err := i.target(); err != nil {
		return exitError{err, exitUsage}
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
	if folder := i.dataFolder(); folder != "" {
		file.PutData(folder)
	}
	if err := i.write(file.Text()); err != nil {
		return fmt.Errorf("write %s: %w", i.to, err)
	}
	if i.asJSON {
		return printJSON(out, struct {
			File   string   `json:"file"`
			Keys   int      `json:"keys"`
			Unread string   `json:"database_not_read,omitempty"` // why
			ToDo   []string `json:"to_do"`
			Notes  []string `json:"notes"`
		}{i.to, file.Taken(), why, whole(append(file.ToDo, i.unfit(file.ToDo)...)), whole(file.Notes)})
	}
	fmt.Fprintf(out, "%s is written, mode 0600: %d keys set, each with a comment on where it comes from; what was dropped stands at its end with the reason\n", i.to, file.Taken())
	if i.db && why != "" {
		fmt.Fprintf(out, "the database was not read: %s\n", why)
	}
	for _, line := range append(file.ToDo, i.unfit(file.ToDo)...) {
		fmt.Fprintf(out, "to do: %s\n", line)
	}
	for _, line := range file.Notes {
		fmt.Fprintf(out, "note: %s\n", line)
	}
	fmt.Fprintf(out, "then: tlim config check --config %s\n", i.to)
	return nil
}

// The folders of the packages: the unit lets tlim write into the second alone.
const packagedFolder, packagedData = "/etc/tlim", "/var/lib/tlim"

// dataFolder is where the configuration has tlim write; "" is beside the file.
func (i importing) dataFolder() string {
	if path, err := filepath.Abs(i.to); i.data == "" && err == nil && filepath.Dir(path) == packagedFolder {
		return packagedData
	}
	return i.data
}

// target says why the file cannot be written there. A device would be replaced by a file, and a link by what it does not name.
func (i importing) target() error {
	switch i.to {
	case "":
		return errors.New("--output has no name of a file")
	case "-":
		return errors.New("--output -: the passwords go into a file alone, whose mode is 0600; write ./- for a file of this name")
	}
	info, err := os.Lstat(i.to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("write %s: %w", i.to, withoutPath(err))
	case info.Mode()&fs.ModeSymlink != 0:
		to, err := os.Readlink(i.to)
		if err != nil {
			return fmt.Errorf("write %s: %w", i.to, withoutPath(err))
		}
		return fmt.Errorf("%s is a symbolic link to %s: --output has to name the file itself", i.to, to)
	case info.IsDir():
		return fmt.Errorf("%s is a folder: --output has to name a file, like %s", i.to, filepath.Join(i.to, "tlim.yaml"))
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is a device, a pipe or a socket: --output has to name a file", i.to)
	case !i.force:
		return fmt.Errorf("%s is there already: --force writes over it, --output names another file", i.to)
	}
	return nil
}

// unfit is what config check finds in the file that was written, without what is to do already.
func (i importing) unfit(todo []string) []string {
	_, _, err := config.Load(config.Sources{File: i.to})
	if err == nil {
		return nil
	}
	var problems config.Problems
	if !errors.As(err, &problems) {
		return []string{err.Error()}
	}
	return slices.DeleteFunc(problems, func(p string) bool {
		key := configKey.FindString(strings.TrimPrefix(p, i.to))
		return key != "" && slices.ContainsFunc(todo, func(line string) bool { return strings.Contains(line, key) })
	})
}

// configKey is the key with which a line of config check begins, behind the file and its line.
var configKey = regexp.MustCompile(`\b[a-z0-9_]+(\.[a-z0-9_]+)+\b`)

// login is the one of the command line. Errors do not name a file that is not there: it may be the password.
func (i importing) login() (login takeover.Login, err error) {
	if (i.user == "") != (i.passwordFile == "") {
		return login, errors.New("--user and --password-file go together")
	}
	if i.user == "" {
		return login, nil
	}
	if !utf8.ValidString(i.user) || strings.ContainsFunc(i.user, unicode.IsControl) {
		return login, errors.New("--user holds a control character, or bytes that are no UTF-8, as GBK text has them: write it in UTF-8")
	}
	f, err := os.Open(i.passwordFile)
	if err != nil {
		return login, fmt.Errorf("--password-file: %w", i.unopened(err))
	}
	defer f.Close()
	const maxFile = 4096
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return login, fmt.Errorf("--password-file %s: %w", i.passwordFile, withoutPath(err))
	}
	if len(data) > maxFile {
		return login, fmt.Errorf("--password-file %s: it is larger than %d bytes; it has to have the password alone, in one line", i.passwordFile, maxFile)
	}
	password, err := config.SecretText(data)
	if err != nil {
		return login, fmt.Errorf("--password-file %s: %w", i.passwordFile, err)
	}
	return takeover.Login{User: i.user, Password: password}, nil
}

// unopened says where the password's file was looked for. Only a folder that is there is named.
func (i importing) unopened(err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		if _, there := os.Lstat(i.passwordFile); there == nil {
			return fmt.Errorf("%s: %w", i.passwordFile, withoutPath(err))
		}
		return errors.New("the file cannot be opened")
	}
	folder, wrong := filepath.Abs(filepath.Dir(i.passwordFile))
	if wrong != nil {
		return errors.New("there is no such file")
	}
	if _, wrong := os.Stat(folder); wrong != nil {
		return errors.New("there is no such file, and no such folder")
	}
	return fmt.Errorf("there is no such file in the folder %s", folder)
}

func readOpenfire(path string, login takeover.Login) (*takeover.Document, *takeover.Database, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, withoutPath(err)
	}
	if !info.IsDir() && !info.Mode().IsRegular() { // a pipe without a writer would never answer
		return nil, nil, errors.New("is a device, a pipe or a socket: name the file itself, or a copy of it")
	}
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
	ctx, cancel := context.WithTimeoutCause(ctx, i.wait, noAnswer(i.wait))
	defer cancel()
	type answer struct {
		rows *store.OpenfireSettings
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // a driver that logs in does not look at the context; what it has left ends with the process
		rows, err := readSettings(ctx, store.Config{Driver: db.Driver, DSN: db.DSN, MaxWait: i.wait, Log: slog.New(slog.DiscardHandler)})
		answers <- answer{rows, err}
	}()
	var got answer
	select {
	case got = <-answers:
	case <-ctx.Done():
		got.err = context.Cause(ctx)
	}
	if got.err != nil {
		return nil, "", unread(ctx, db.Driver, got.err)
	}
	return got.rows, "", nil
}

func readSettings(ctx context.Context, cfg store.Config) (*store.OpenfireSettings, error) {
	e, err := store.Examine(ctx, cfg)
	if err != nil {
		return nil, err
	}
	rows, err := e.Openfire(ctx)
	return rows, errors.Join(err, e.Close())
}

// noAnswer is the error of a database that was waited for.
type noAnswer time.Duration

func (n noAnswer) Error() string { return fmt.Sprintf("no answer within %s", time.Duration(n)) }

// refusal is what engines say to a wrong login: MySQL, SQL Server, Oracle.
var refusal = regexp.MustCompile(`(?i)access denied|login failed|ORA-01017|Error 1045|Error 1044`)

// unread says why --db could not read, and what to do about it.
func unread(ctx context.Context, driver string, err error) error {
	var late noAnswer
	remedy := fmt.Sprintf("see that host and port of serverURL are those of a %s database, and that it runs and can be reached from here", driver)
	switch {
	case errors.Is(err, store.ErrSchema):
		remedy = "see that serverURL names the database in which Openfire has its tables"
	case refusal.MatchString(err.Error()):
		remedy = "give a user who may log in from this host and SELECT there, by --user and --password-file"
	case errors.As(context.Cause(ctx), &late):
		err = fmt.Errorf("the %s database: %w", driver, late)
	}
	return fmt.Errorf("--db: %w; nothing is written. Remedy: %s; or leave --db away, and the file is made of openfire.xml alone", err, remedy)
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
	if err = private.Restrict(f.Name()); err == nil { // for Windows, where the mode is nothing
		_, err = f.Write(text)
	}
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = i.target() // what is there may be another since
	}
	if err == nil {
		if i.force {
			err = os.Rename(f.Name(), i.to)
		} else {
			err = os.Link(f.Name(), i.to) // fails where somebody has made it meanwhile
		}
	}
	if !i.force || err != nil { // of a rename nothing is left
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
