package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/component/protocol"
	"tlim/httpapi"
	"tlim/store"
)

// maxListed bounds one page of tlim users and tlim groups.
const maxListed = 10_000

// page is what a list was asked for, a page at a time.
type page struct {
	text, after string
	limit       int
	json        bool
}

// listCommand makes a command of a list, which reads the database beside a process that serves.
func listCommand(from *config.Sources, use, short, matches string, show func(context.Context, io.Writer, *store.Store, page) error) *cobra.Command {
	var p page
	command := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  short + ". It reads the database beside a process that serves, ordered by id. When there are more, the last line says from where the next page goes on.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.limit < 1 || p.limit > maxListed {
				return exitError{fmt.Errorf("--limit is 1 to %d", maxListed), exitUsage}
			}
			cfg, _, err := config.LoadForOperator(*from)
			if err != nil {
				return err
			}
			return withStore(cmd.Context(), cfg, func(db *store.Store) error { return show(cmd.Context(), cmd.OutOrStdout(), db, p) })
		},
	}
	command.Flags().StringVar(&p.text, "text", "", "only those whose "+matches+" holds this")
	command.Flags().StringVar(&p.after, "after", "", "from behind this id")
	command.Flags().IntVar(&p.limit, "limit", 100, fmt.Sprintf("how many, 1 to %d", maxListed))
	command.Flags().BoolVar(&p.json, "json", false, "print JSON")
	return command
}

// read takes the rows of a page; a reader stops also behind many rows that are not wanted.
func (p page) read(read func(after string, limit int) (rows int, next string, err error)) (next string, err error) {
	for next = p.after; p.limit > 0; {
		var n int
		if n, next, err = read(next, p.limit); err != nil || next == "" {
			return "", err
		}
		p.limit -= n
	}
	return next, nil
}

func usersCommand(from *config.Sources) *cobra.Command {
	return listCommand(from, "users", "List the users of the directory, also those who have left", "name (also by the initials of its pinyin), id or login", showUsers)
}

// listedUser is a line of tlim users. Who is online only the process that serves knows: admin/users.
type listedUser struct {
	ID          string     `json:"user_id"`
	Name        string     `json:"user_name,omitempty"`
	Login       string     `json:"acct_login,omitempty"`
	Left        bool       `json:"left"`
	Learned     bool       `json:"learned"` // was only seen; nobody named them
	Robot       bool       `json:"robot"`
	Push        bool       `json:"push"` // a phone is registered
	Confirms    string     `json:"confirms"`
	LastMessage *time.Time `json:"last_message,omitempty"` // between two people
}

func showUsers(ctx context.Context, out io.Writer, db *store.Store, p page) error {
	list := []listedUser{}
	next, err := p.read(func(after string, limit int) (int, string, error) {
		users, next, err := httpapi.UsersWith(ctx, db.EveryUser, p.text, after, limit)
		if err != nil {
			return 0, "", err
		}
		ids := make([]string, len(users))
		for i, u := range users {
			ids[i] = u.ID
		}
		newest, err := db.NewestChats(ctx, ids)
		for _, u := range users {
			list = append(list, listedUser{ID: u.ID, Name: u.Name, Login: u.Login, Left: u.Left, Learned: u.Learned, Robot: u.Robot, Push: u.PushCode != "",
				Confirms: httpapi.ConfirmWords[u.Confirms], LastMessage: instant(newest[u.ID])})
		}
		return len(users), next, err
	})
	if err != nil {
		return err
	}
	if p.json {
		return printJSON(out, struct {
			Users []listedUser `json:"users"`
			Next  string       `json:"next,omitempty"`
		}{list, next})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "USER\tNAME\tLOGIN\tSTATE\tPUSH\tCONFIRMS\tLAST MESSAGE")
	for _, u := range list {
		state := "here"
		switch {
		case u.Left:
			state = "left"
		case u.Robot:
			state = "robot"
		case u.Learned:
			state = "seen only"
		}
		push := "no"
		if u.Push {
			push = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", shown(u.ID), shown(u.Name), shown(u.Login), state, push, u.Confirms, shownTime(u.LastMessage))
	}
	return endPage(w, next)
}

func groupsCommand(from *config.Sources) *cobra.Command {
	return listCommand(from, "groups", "List the groups, also those that are closed", "name, id or owner", showGroups)
}

// listedGroup is a line of tlim groups.
type listedGroup struct {
	ID      string     `json:"session_id"`
	Name    string     `json:"session_name,omitempty"`
	Type    int        `json:"session_type"`
	Owner   string     `json:"session_user,omitempty"`
	Members int        `json:"members"`
	Closed  bool       `json:"closed"`
	Created *time.Time `json:"created,omitempty"`
}

func showGroups(ctx context.Context, out io.Writer, db *store.Store, p page) error {
	list := []listedGroup{}
	next, err := p.read(func(after string, limit int) (int, string, error) {
		groups, next, err := httpapi.GroupsWith(ctx, db.EveryGroup, p.text, after, limit)
		if err != nil {
			return 0, "", err
		}
		ids := make([]string, len(groups))
		for i, g := range groups {
			ids[i] = g.ID
		}
		members, err := db.CountMembers(ctx, ids)
		for _, g := range groups {
			list = append(list, listedGroup{g.ID, g.Name, g.Type, g.Owner, members[g.ID], g.Valid == 1, instant(g.CreateTime)})
		}
		return len(groups), next, err
	})
	if err != nil {
		return err
	}
	if p.json {
		return printJSON(out, struct {
			Groups []listedGroup `json:"groups"`
			Next   string        `json:"next,omitempty"`
		}{list, next})
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "GROUP\tNAME\tTYPE\tOWNER\tMEMBERS\tSTATE\tCREATED")
	for _, g := range list {
		state := "open"
		if g.Closed {
			state = "closed"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\t%s\n", shown(g.ID), shown(g.Name), g.Type, shown(g.Owner), g.Members, state, shownTime(g.Created))
	}
	return endPage(w, next)
}

// endPage says where the next page begins.
func endPage(w *tabwriter.Writer, next string) error {
	err := w.Flush()
	if next != "" {
		_, more := fmt.Fprintf(w, "there are more: --after %q\n", next)
		err = errors.Join(err, more, w.Flush())
	}
	return err
}

// instant is a time of the tables; nil where they have none.
func instant(text string) *time.Time {
	ms := protocol.TimeOrZero(text)
	if ms == 0 {
		return nil
	}
	at := time.UnixMilli(ms)
	return &at
}

func shown(text string) string { return strings.Map(printable, text) }

func shownTime(at *time.Time) string {
	if at == nil {
		return "-"
	}
	return at.Format(time.DateTime)
}
