package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"tlim/cmd/tlim/config"
	"tlim/store"
)

// What is not taken back, or takes a quiet hour, is printed first and done with --yes alone.

func downCommand(from *config.Sources) *cobra.Command {
	var yes, asJSON bool
	down := &cobra.Command{
		Use:   "down",
		Short: "Give the tables back to the old plugin: what tlim added goes, with --yes",
		Long: "Give the tables back to the old plugin. Without --yes it prints what would go and changes nothing. With --yes the tables of tlim's own, its columns " +
			"and indexes go; no row of the plugin's tables is changed. It refuses while a process serves.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return migrateDown(cmd.Context(), printer{cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON}, *from, yes)
		},
	}
	down.Flags().BoolVar(&yes, "yes", false, "do it")
	down.Flags().BoolVar(&asJSON, "json", false, "print JSON; how far it is goes to standard error")
	return down
}

func convertCommand(from *config.Sources) *cobra.Command {
	var yes, asJSON bool
	convert := &cobra.Command{
		Use:   "utf8mb4",
		Short: "Convert tables of MySQL and MariaDB that refuse Chinese or emoji, with --yes",
		Long: "Convert tables of MySQL and MariaDB to utf8mb4 with the collation utf8mb4_bin: they hold every character and tell all ids apart then. Without --yes " +
			"it prints the plan, in its order, with the time and the disk that it takes. Nobody writes a table while it is converted, so it refuses while a process serves.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return migrateConvert(cmd.Context(), printer{cmd.OutOrStdout(), cmd.ErrOrStderr(), asJSON}, *from, yes)
		},
	}
	convert.Flags().BoolVar(&yes, "yes", false, "do it")
	convert.Flags().BoolVar(&asJSON, "json", false, "print JSON; how far it is goes to standard error")
	return convert
}

// serves says why a process that serves with this configuration is in the way; "" where none answers. One of another host is found by
// the database.
func serves(ctx context.Context, cfg config.Config) (why string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*readyTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+reachable(cfg.Metrics.Listen)+"/readyz", nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", nil //nolint:nilerr // nothing that serves
	}
	defer response.Body.Close()
	var h health
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&h); err != nil || h.Link.State == "" {
		return "", nil //nolint:nilerr // it is another program
	}
	if own := cfg.XMPP.Component; own != "" && h.Component != "" && own != h.Component {
		return "", nil
	}
	return fmt.Sprintf("a tlim serves (metrics.listen %s answers as %s): stop it first", cfg.Metrics.Listen, h.Component), nil
}

// unserved is an error where a process serves.
func unserved(ctx context.Context, cfg config.Config) error {
	why, err := serves(ctx, cfg)
	if err == nil && why != "" {
		err = fmt.Errorf("%w: %s; nothing was changed", store.ErrHeld, why)
	}
	return err
}

func migrateDown(ctx context.Context, p printer, from config.Sources, yes bool) error {
	site, cfg, err := database(from)
	if err != nil {
		return err
	}
	if !yes {
		return planDown(ctx, p, site, cfg)
	}
	if err := unserved(ctx, site); err != nil {
		return err
	}
	var gone []string
	slow := func(p store.Progress) string { // most of it is done at once
		if p.Took < time.Second {
			return ""
		}
		return progressLine(p)
	}
	err = migrated(ctx, p.progress(), cfg, slow, func(ctx context.Context, m *store.Migrator) (err error) {
		gone, err = m.Down(ctx)
		return err
	})
	if p.asJSON {
		return errors.Join(err, printJSON(p.out, struct {
			Done bool     `json:"done"`
			Gone []string `json:"gone"`
		}{true, whole(gone)}))
	}
	out := p.out
	for _, what := range gone {
		fmt.Fprintf(out, "gone: %s\n", what)
	}
	if err != nil {
		return err
	}
	if len(gone) == 0 {
		fmt.Fprintln(out, "nothing of tlim was there")
	}
	fmt.Fprintln(out, beforeThePlugin)
	return nil
}

// beforeThePlugin is what the plugin does by itself at its start.
const beforeThePlugin = "note: with tlim.userAsync (its default) the plugin deletes all accounts of Openfire but admin at its start, and makes them again with the password 123"

func planDown(ctx context.Context, p printer, site config.Config, cfg store.Config) error {
	var r store.Return
	why, err := planned(ctx, site, cfg, true, func(e *store.Examination) (err error) { r, err = e.Return(ctx); return err })
	if err != nil {
		return err
	}
	if p.asJSON {
		return printJSON(p.out, struct {
			Done    bool         `json:"done"`
			Indexes []string     `json:"indexes"`
			Columns []store.Lost `json:"columns"`
			Tables  []store.Lost `json:"tables"`
			Why     []string     `json:"in_the_way"`
		}{false, whole(r.Indexes), whole(r.Columns), whole(r.Tables), whole(append(r.Refused, why...))})
	}
	out := p.out
	for _, i := range r.Indexes {
		fmt.Fprintf(out, "would go: index %s\n", i)
	}
	for _, c := range r.Columns {
		fmt.Fprintf(out, "would go: column %s, of %d rows%s\n", c.Name, c.Rows, meaning(c))
	}
	for _, t := range r.Tables {
		fmt.Fprintf(out, "would go: table %s, %d rows%s\n", t.Name, t.Rows, meaning(t))
	}
	for _, why := range append(r.Refused, why...) {
		fmt.Fprintf(out, "in the way: %s\n", why)
	}
	if len(r.Indexes)+len(r.Columns)+len(r.Tables) == 0 {
		fmt.Fprintln(out, "nothing of tlim is there")
		return nil
	}
	fmt.Fprintln(out, "no row of the plugin's tables is changed; make a backup: what goes does not come back")
	fmt.Fprintln(out, beforeThePlugin)
	fmt.Fprintln(out, "nothing was changed; tlim migrate down --yes does it")
	return nil
}

// planned looks at the database for a plan, and says what is in the way of carrying it out.
func planned(ctx context.Context, site config.Config, cfg store.Config, drop bool, look func(*store.Examination) error) (why []string, err error) {
	if err := examined(ctx, cfg, func(e *store.Examination) (err error) {
		if err = look(e); err == nil {
			why, err = e.InTheWay(ctx, drop)
		}
		return err
	}); err != nil {
		return nil, err
	}
	serving, err := serves(ctx, site)
	if serving != "" {
		why = append(why, serving)
	}
	return why, err
}

// meaning is what is lost with rows; of none nothing is.
func meaning(l store.Lost) string {
	if l.Rows == 0 {
		return ""
	}
	return ": " + l.Means
}

func migrateConvert(ctx context.Context, p printer, from config.Sources, yes bool) error {
	site, cfg, err := database(from)
	if err != nil {
		return err
	}
	if !yes {
		return planConversion(ctx, p, site, cfg)
	}
	if err := unserved(ctx, site); err != nil {
		return err
	}
	var converted []string
	err = migrated(ctx, p.progress(), cfg, progressLine, func(ctx context.Context, m *store.Migrator) (err error) {
		converted, err = m.Convert(ctx)
		return err
	})
	if p.asJSON {
		return errors.Join(err, printJSON(p.out, struct {
			Done      bool     `json:"done"`
			Converted []string `json:"converted"`
		}{true, whole(converted)}))
	}
	out := p.out
	for _, table := range converted {
		fmt.Fprintf(out, "converted: %s\n", table)
	}
	if err == nil && len(converted) == 0 {
		fmt.Fprintln(out, nothingToConvert)
	}
	return err
}

const nothingToConvert = "every table holds every character and tells all ids apart: nothing is to be converted"

func planConversion(ctx context.Context, p printer, site config.Config, cfg store.Config) error {
	var list []store.Conversion
	why, err := planned(ctx, site, cfg, false, func(e *store.Examination) (err error) { list, err = e.Conversions(ctx); return err })
	if err != nil {
		return err
	}
	if p.asJSON {
		return printJSON(p.out, struct {
			Done   bool               `json:"done"`
			Tables []store.Conversion `json:"tables"` // in the order in which they are converted
			Why    []string           `json:"in_the_way"`
		}{false, whole(list), whole(why)})
	}
	out := p.out
	if len(list) == 0 {
		fmt.Fprintln(out, nothingToConvert)
		return nil
	}
	var locked time.Duration
	var disk int64
	for i, c := range list {
		fmt.Fprintf(out, "%d. %s\n", i+1, c.Statement)
		fmt.Fprintf(out, "   about %d rows, %s: nobody writes it for about %v; takes about %s of free disk meanwhile\n", c.Rows, bytesOf(c.Bytes), c.Time.Round(time.Second), bytesOf(c.Disk))
		for _, fault := range c.Faults {
			fmt.Fprintf(out, "   it %s\n", fault)
		}
		for _, note := range c.Notes {
			fmt.Fprintf(out, "   note: %s\n", note)
		}
		locked, disk = locked+c.Time, max(disk, c.Disk)
	}
	fmt.Fprintf(out, "together about %v at %s a second, which is a guess; %s of free disk where the server keeps its data\n", locked.Round(time.Second), bytesOf(store.ConversionRate), bytesOf(disk))
	fmt.Fprintln(out, "no character is lost: all of them are in utf8mb4; tables that the old plugin uses again may stay so")
	for _, why := range why {
		fmt.Fprintf(out, "in the way: %s\n", why)
	}
	fmt.Fprintln(out, "nothing was changed; tlim migrate utf8mb4 --yes does it, in this order")
	return nil
}
