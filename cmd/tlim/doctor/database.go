package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"tlim/store"
)

// databaseChecks are about the database of store.dsn.
func (s *Site) databaseChecks() []Check {
	check := func(id, name, fine string, look func(context.Context, *store.Examination) ([]store.Advice, error)) Check {
		return Check{ID: "database." + id, Name: name, Needs: []string{"database"}, Run: s.asked(fine, look)}
	}
	migrate := s.Config.Store.Migrate
	checks := []Check{
		{ID: "database", Name: "the database", Run: s.checkDatabase},
		check("schema", "tables and columns", "all tables and columns are there, or are made at the next start", func(ctx context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Schema(ctx, migrate)
		}),
		{ID: "database.rights", Name: "rights of its user", Needs: []string{"database"}, Run: s.checkRights},
		check("charsets", "character sets", "every table holds every character", func(_ context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Charsets(), nil
		}),
		check("collations", "collations", "every table tells all ids apart", func(_ context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Collations(), nil
		}),
		check("mixture", "one collation for all", "the tables have one collation", func(_ context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Mixture(), nil
		}),
		check("binlog", "the format of the binary log", "rows can be logged", func(ctx context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Logging(ctx)
		}),
		check("durability", "power cuts", "what was acknowledged survives a power cut", func(ctx context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Durability(ctx)
		}),
		check("headroom", "numbers of rows", "no table is near the end of its numbers", func(ctx context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Headroom(ctx)
		}),
		check("indexes", "indexes", "none is missing", func(ctx context.Context, db *store.Examination) ([]store.Advice, error) {
			return db.Indexes(ctx, migrate)
		}),
		{ID: "clock.database", Name: "the database's clock", Needs: []string{"database"}, Run: s.checkDatabaseClock},
		{ID: "clock.stored", Name: "the stored clock", Needs: []string{"database"}, Run: s.checkStoredClock},
	}
	for _, table := range store.DirtTables() {
		checks = append(checks, Check{ID: "rows." + table, Name: "rows of " + table, Needs: []string{"database"}, Run: func(ctx context.Context) []Finding { return s.checkRows(ctx, table) }})
	}
	return checks
}

// dirtTime ends the looking at a table before the time of the check does.
const dirtTime = 6 * time.Second

// checkRows looks for what other programs left in a table.
func (s *Site) checkRows(ctx context.Context, table string) []Finding {
	began := time.Now()
	dirt, err := kept(s, &s.db).Dirt(ctx, table, time.Now(), dirtTime)
	if err != nil {
		return s.unanswered(err, began)
	}
	which := fmt.Sprintf("all %d rows", dirt.Looked)
	if dirt.Part {
		which = fmt.Sprintf("%d rows of more", dirt.Looked)
	}
	var found []Finding
	for _, a := range dirt.Advice {
		found = append(found, Finding{Warning, a.Seen + " (" + which + " were looked at)", a.Remedy})
	}
	for _, unseen := range dirt.Unseen {
		found = append(found, Finding{Skipped, unseen, ""})
	}
	if len(dirt.Advice) == 0 {
		found = append(ok("nothing odd; %s were looked at", which), found...)
	}
	return found
}

func (s *Site) checkRights(ctx context.Context) []Finding {
	told := true
	return s.asked("the user of store.dsn may do all that is needed", func(ctx context.Context, db *store.Examination) (advice []store.Advice, err error) {
		advice, told, err = db.Rights(ctx)
		if err == nil && !told && db.File() == "" {
			return nil, errNotSeen
		}
		return advice, err
	})(ctx)
}

// errNotSeen is a question that this engine has no answer to.
var errNotSeen = errors.New("this engine does not tell")

// maxClockGap is how far two clocks may be apart: time servers keep them closer by far.
const maxClockGap = 5 * time.Second

const setClock = "let a time server set both (chrony, systemd-timesyncd)"

func (s *Site) checkDatabaseClock(ctx context.Context) []Finding {
	before := time.Now()
	there, told, err := kept(s, &s.db).Now(ctx)
	now := before.Add(time.Since(before) / 2) // when the server looked at its own
	switch apart := there.Sub(now); {
	case err != nil:
		return s.unanswered(err, before)
	case !told:
		return ok("it is this machine's")
	case apart.Abs() > maxClockGap:
		return warning(setClock, "the database's clock is %v %s this machine's; messages get times of this machine", apart.Abs().Round(time.Second), direction(apart))
	default:
		return ok("%v apart from this machine's", apart.Abs().Round(time.Millisecond))
	}
}

func direction(d time.Duration) string {
	if d > 0 {
		return "ahead of"
	}
	return "behind"
}

func (s *Site) checkStoredClock(ctx context.Context) []Finding {
	began := time.Now()
	state, there, err := kept(s, &s.db).State(ctx)
	if err != nil {
		return s.unanswered(err, began)
	}
	if !there {
		return ok("nothing is stored yet")
	}
	if text := s.ClockAhead(state, time.Now()); text != "" {
		seen, remedy, _ := strings.Cut(text, ". ")
		return failure(remedy, "%s", seen)
	}
	return ok("it is not ahead of this machine's")
}

// databaseWait ends a wait for the database before the check's time is over, so that its own words are told.
const databaseWait = 3 * time.Second

func (s *Site) checkDatabase(ctx context.Context) []Finding {
	cfg := s.Store
	cfg.MaxWait = databaseWait
	connecting, cancel := context.WithTimeout(ctx, 2*databaseWait)
	defer cancel()
	db, err := store.Examine(connecting, cfg)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return skipped("the file of store.dsn is not there yet: the first start makes it (%v)", err)
	case err != nil:
		return failure(store.Remedy(cfg, err), "%v", err)
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
		began := time.Now()
		advice, err := look(ctx, kept(s, &s.db))
		if errors.Is(err, errNotSeen) {
			return skipped("%v", err)
		}
		if err != nil {
			return s.unanswered(err, began)
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
func (s *Site) unanswered(err error, began time.Time) []Finding {
	return failure(store.Remedy(s.Store, err), "not seen: %s", strings.TrimSpace(fmt.Sprint(store.Late(s.Store, err, began))))
}
