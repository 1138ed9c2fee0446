package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/component/protocol"
	"tlim/httpapi"
	"tlim/store"
)

// byCommand is what the audit log says of a change that a command makes.
func byCommand(what, target string) store.AuditEvent {
	who := "unknown"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	e := httpapi.Event(what, who, store.CommandLine, time.Now())
	e.Target = target
	return e
}

func keysNewCommand(from *config.Sources) *cobra.Command {
	var scopes string
	var rate float64
	var robot protocol.Robot
	var asJSON bool
	command := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a key of the HTTP API and print it; it is told this once",
		Long: "Make a key of the HTTP API in the database and print it; it is told this once and kept nowhere. A process that serves takes it within " +
			"seconds. A name is given once: it stands in logs, metrics and the audit log.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return newKey(cmd.Context(), cmd.OutOrStdout(), *from, args[0], scopes, rate, robot, asJSON)
		},
	}
	command.Flags().StringVar(&scopes, "scopes", "business", "what it may call: business, admin, or business,admin")
	command.Flags().Float64Var(&rate, "rate", 0, "calls a second; 0 is no limit")
	command.Flags().StringVar(&robot.ID, "robot-id", "", "as whom it sends chat messages: the user id of a robot, which is made; not that of a person")
	command.Flags().StringVar(&robot.Name, "robot-name", "", "the robot's name; its id without it")
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

func newKey(ctx context.Context, out io.Writer, from config.Sources, name, scopeList string, rate float64, robot protocol.Robot, asJSON bool) error {
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	scopes, ok := httpapi.ParseScopes(scopeList)
	if !ok {
		return exitError{errors.New("--scopes is business, admin or business,admin"), exitUsage}
	}
	if !httpapi.GoodRate(rate) {
		return exitError{errors.New("--rate is a number of calls a second: " + httpapi.RateRange()), exitUsage}
	}
	if httpapi.LooksSecret(name) {
		return exitError{errors.New("the name looks like a key or a token itself, and names stand in logs and in the audit log: give another name"), exitUsage}
	}
	if !httpapi.GoodKeyName(name) {
		return exitError{fmt.Errorf("a key's name has up to %d characters that show, no blanks, and is none of anonymous and user", httpapi.MaxKeyName), exitUsage}
	}
	if robot != (protocol.Robot{}) {
		if err := robot.Check(); err != nil {
			return exitError{err, exitUsage}
		}
	}
	if where, taken := configuredKey(cfg.HTTP, name); taken {
		return fmt.Errorf("the configuration has a key named %s (%s)", name, where)
	}
	e := byCommand("keys/new", name)
	k, secret := httpapi.NewKey(name, scopes, rate, robot, e.Who, time.UnixMilli(e.Time))
	err = withStore(ctx, cfg, func(db *store.Store) error {
		if err := mayBeRobot(ctx, db, cfg.HTTP, robot); err != nil {
			return err
		}
		return db.AddKey(ctx, k, httpapi.KeyEvent(e, k))
	})
	switch {
	case errors.Is(err, store.ErrDuplicate):
		return fmt.Errorf("there is, or was, a key named %s: its name stands in the audit log, so take another", name)
	case err != nil:
		return err
	case asJSON:
		return printJSON(out, struct {
			Name   string   `json:"name"`
			Scopes []string `json:"scopes"`
			Rate   float64  `json:"rate"`
			Robot  string   `json:"robot_id,omitempty"`
			Secret string   `json:"secret"`
		}{name, scopes, rate, robot.ID, secret})
	}
	_, err = fmt.Fprintln(out, secret)
	return err
}

// mayBeRobot says why a key may not speak as a robot: a person has its id, or another key declares it otherwise.
func mayBeRobot(ctx context.Context, db *store.Store, h config.HTTP, robot protocol.Robot) error {
	if robot.ID == "" {
		return nil
	}
	local := protocol.UserKey(robot.ID)
	found, err := db.UsersByJID(ctx, []string{local})
	if err != nil {
		return err
	}
	if u, ok := found[local]; ok && !u.Robot {
		return fmt.Errorf("the robot %s cannot have the id of a person: the directory has a user %s", robot.ID, u.ID)
	}
	stored, err := db.Keys(ctx)
	if err != nil {
		return err
	}
	declared := map[string]protocol.Robot{}
	for _, k := range h.Keys {
		declared[k.Name] = protocol.Robot(k.Robot)
	}
	for _, k := range stored {
		if k.Ended == 0 {
			declared[k.Name] = protocol.Robot{ID: k.RobotID, Name: k.RobotName}
		}
	}
	for name, other := range declared {
		if same, it := robot.Same(other); it && !same {
			return fmt.Errorf("the key %s declares the robot %s otherwise (%s): two keys may share one if both have the same id and name", name, other.ID, other.Shown())
		}
	}
	return nil
}

// configuredKey says whether the configuration has a key of a name, and where.
func configuredKey(h config.HTTP, name string) (where string, ok bool) {
	for i, k := range h.Keys {
		if k.Name == name {
			return fmt.Sprintf("http.keys[%d]", i), true
		}
	}
	if len(h.Keys) == 0 && name == httpapi.FileKeyName {
		return string(h.KeyFile), true
	}
	return "", false
}

func keysListCommand(from *config.Sources) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "list",
		Short: "List the keys of the HTTP API: those of the configuration, and those of the database with those that have ended",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return listKeys(cmd.Context(), cmd.OutOrStdout(), *from, asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

// listedKey is a line of tlim keys list.
type listedKey struct {
	Name    string     `json:"name"`
	Scopes  []string   `json:"scopes"`
	Rate    float64    `json:"rate"`
	Robot   string     `json:"robot_id,omitempty"`
	Source  string     `json:"source"` // config, file or database
	Where   string     `json:"where,omitempty"`
	Made    *time.Time `json:"made,omitempty"`
	MadeBy  string     `json:"made_by,omitempty"`
	Ended   *time.Time `json:"ended,omitempty"`
	EndedBy string     `json:"ended_by,omitempty"`
	InUse   bool       `json:"in_use"`
}

func listKeys(ctx context.Context, out io.Writer, from config.Sources, asJSON bool) error {
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	var stored []store.Key
	err = withStore(ctx, cfg, func(db *store.Store) (err error) {
		stored, err = db.Keys(ctx)
		return err
	})
	if err != nil {
		return err
	}
	list := []listedKey{}
	for i, k := range cfg.HTTP.Keys {
		list = append(list, listedKey{Name: k.Name, Scopes: k.Scopes, Rate: k.Rate, Robot: k.Robot.ID, Source: "config", Where: fmt.Sprintf("http.keys[%d]", i), InUse: true})
	}
	if len(cfg.HTTP.Keys) == 0 {
		list = append(list, listedKey{Name: httpapi.FileKeyName, Scopes: []string{"admin"}, Source: "file", Where: string(cfg.HTTP.KeyFile), InUse: true})
	}
	at := func(ms int64) *time.Time {
		if ms == 0 {
			return nil
		}
		t := time.UnixMilli(ms)
		return &t
	}
	for _, k := range stored {
		_, taken := configuredKey(cfg.HTTP, k.Name)
		list = append(list, listedKey{k.Name, k.Scopes, k.Rate, k.RobotID, "database", "", at(k.Made), k.MadeBy, at(k.Ended), k.EndedBy, k.Ended == 0 && !taken})
	}
	if asJSON {
		return printJSON(out, list)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tSCOPES\tRATE\tROBOT\tSTATE\tMADE\tBY")
	for _, k := range list {
		rate, made, by, state := "-", k.Where, k.MadeBy, "in use"
		if k.Rate > 0 {
			rate = fmt.Sprint(k.Rate)
		}
		if k.Made != nil {
			made = k.Made.Format(time.DateTime)
		}
		switch {
		case k.Ended != nil:
			state = "ended " + k.Ended.Format(time.DateTime) + " by " + k.EndedBy
		case !k.InUse:
			state = "not in use: the configuration has one of its name"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", strings.Map(printable, k.Name), strings.Join(k.Scopes, ","), rate, cmp.Or(strings.Map(printable, k.Robot), "-"), state, made, by)
	}
	return w.Flush()
}

func keysEndCommand(from *config.Sources) *cobra.Command {
	var asJSON bool
	command := &cobra.Command{
		Use:   "end NAME",
		Short: "End a key that tlim keys new or the console made; a process that serves refuses it within seconds",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return endKey(cmd.Context(), cmd.OutOrStdout(), *from, args[0], asJSON)
		},
	}
	command.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return command
}

func endKey(ctx context.Context, out io.Writer, from config.Sources, name string, asJSON bool) error {
	cfg, _, err := config.LoadForOperator(from)
	if err != nil {
		return err
	}
	e := byCommand("keys/end", name)
	var k store.Key
	found := false
	err = withStore(ctx, cfg, func(db *store.Store) (err error) {
		k, found, err = db.EndKey(ctx, name, e)
		return err
	})
	if err != nil {
		return err
	}
	if !found {
		if where, ok := configuredKey(cfg.HTTP, name); ok {
			return fmt.Errorf("the key %s is the configuration's (%s): change it there, and send the process SIGHUP", name, where)
		}
		return fmt.Errorf("there is no key named %s; tlim keys list has all", strings.Map(printable, name))
	}
	if asJSON {
		return printJSON(out, struct {
			Name    string    `json:"name"`
			Ended   time.Time `json:"ended"`
			EndedBy string    `json:"ended_by"`
			Before  bool      `json:"had_ended"` // already
		}{k.Name, time.UnixMilli(k.Ended), k.EndedBy, k.Ended != e.Time})
	}
	if k.Ended != e.Time {
		_, err = fmt.Fprintf(out, "the key %s had ended already, %s by %s\n", name, time.UnixMilli(k.Ended).Format(time.DateTime), k.EndedBy)
		return err
	}
	_, err = fmt.Fprintf(out, "the key %s has ended\n", name)
	return err
}
