package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"tlim/store"
)

// databaseChecks are about the database of store.dsn.
func (s *Site) databaseChecks() []Check {
	needs := []string{"database"}
	return []Check{
		{ID: "database", Name: "the database", Run: s.checkDatabase},
		{ID: "database.schema", Name: "tables and columns", Needs: needs, Run: s.asked("all tables and columns are there, or are made at the next start",
			func(ctx context.Context, db *store.Examination) ([]store.Advice, error) {
				return db.Schema(ctx, s.Config.Store.Migrate)
			})},
		{ID: "database.charsets", Name: "character sets", Needs: needs, Run: s.asked("every table holds every character",
			func(_ context.Context, db *store.Examination) ([]store.Advice, error) { return db.Charsets(), nil })},
	}
}

func (s *Site) checkDatabase(ctx context.Context) []Finding {
	db, err := store.Examine(ctx, s.Store)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return skipped("the file of store.dsn is not there yet: the first start makes it (%v)", err)
	case err != nil:
		return failure("start the database, or correct store.dsn; the user needs SELECT, INSERT, UPDATE and DELETE on it", "%v", err)
	}
	keep(s, &s.db, db)
	if tables := db.Tables(); len(tables) > 0 {
		return ok("%s answers, with %d tables of tlim", s.Config.Store.Driver, len(tables))
	}
	return ok("%s answers; it has no tables of tlim yet: the first start makes them", s.Config.Store.Driver)
}

// asked makes a check of what a look at the database advises; fine is said when that is nothing.
func (s *Site) asked(fine string, look func(context.Context, *store.Examination) ([]store.Advice, error)) func(context.Context) []Finding {
	return func(ctx context.Context) []Finding {
		advice, err := look(ctx, kept(s, &s.db))
		if err != nil {
			return unanswered(err)
		}
		var found []Finding
		for _, a := range advice {
			status := Warning
			if a.Severe {
				status = Failure
			}
			found = append(found, Finding{status, a.Seen, a.Remedy})
		}
		if found == nil {
			return ok("%s", fine)
		}
		return found
	}
}

// unanswered is a question to the database that failed.
func unanswered(err error) []Finding {
	return failure("is the database busy, or may its user not read this?", "not seen: %s", strings.TrimSpace(fmt.Sprint(err)))
}
