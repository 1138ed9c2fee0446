package store

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// SourceConfig says where a directory that others keep is read.
type SourceConfig struct {
	Kind string // isc or openfire
	// DSN names its database, of the engine that DriverOf tells; "" = the Store's own.
	DSN string
}

// Source is the tables of users that another product keeps: the business suite's (isc) or Openfire's. They are read, and of
// isc_user the push code is written; nothing else of them is ever changed, and nothing is deleted.
type Source struct {
	kind  sourceKind
	db    *Store
	owned bool // db is ours to close

	mu    sync.Mutex
	names map[string]string // of tables: as the database spells them, by our spelling; nil until it was asked
}

// SourceUser is a user as a source has them.
type SourceUser struct {
	ID, Name, Login, Email, Pic string
	PushCode                    string // of isc only
}

// sourceKind is what differs between sources. Their queries answer id, name, login, push code, e-mail and picture, the last two
// only where there is no query for infos.
type sourceKind struct {
	name      string
	columns   map[string][]string // what must be there, by table in our spelling, which the queries have
	users     string              // all of them
	by        keys                // their id
	same      string              // the rows whose ids the order takes for one
	infos     string              // id, e-mail and picture of a list of ids; who has none is no user. "" = the row says them
	accounts  bool                // the users are the server's accounts themselves
	pushSet   string              // "" = the source keeps no push codes
	pushTaken string
	pushDead  string
}

const (
	// Two queries and no join: the tables are another product's and may have two collations, which no index serves and MySQL
	// refuses to compare.
	iscUsers = `SELECT user_id, user_name, acct_login, app_push_code FROM isc_user WHERE dr = 'N' AND user_id IS NOT NULL`
	iscInfos = `SELECT user_id, user_email, pic_url FROM isc_user_info WHERE dr = 'N' AND user_id == (?*)`

	openfireUsers = `SELECT username, name, username AS acct_login, NULL AS app_push_code, email, NULL AS pic_url FROM ofUser`
)

var sourceKinds = []sourceKind{
	{
		name: "isc",
		columns: map[string][]string{
			"isc_user":      {"user_id", "user_name", "acct_login", "app_push_code", "dr"},
			"isc_user_info": {"user_id", "user_email", "pic_url", "dr"},
		},
		users: iscUsers, by: keys{"user_id"}, same: iscUsers + ` AND user_id >= ? AND user_id <= ?`,
		infos: iscInfos,
		// Whatever dr says, as the old plugin did: users who come back keep their phone.
		pushSet:   `UPDATE isc_user SET app_push_code = ? WHERE user_id == ?`,
		pushTaken: `UPDATE isc_user SET app_push_code = NULL WHERE app_push_code == ? AND user_id !== ?`,
		pushDead:  `UPDATE isc_user SET app_push_code = NULL WHERE app_push_code == (?*)`,
	},
	{
		name:    "openfire",
		columns: map[string][]string{"ofUser": {"username", "name", "email"}},
		users:   openfireUsers, by: keys{"username"}, same: openfireUsers + ` WHERE username >= ? AND username <= ?`,
		accounts: true,
	},
}

// NewSource makes a Source that reads with s, or with connections of its own where cfg names another database. It does not
// connect: [Source.Check] does. The caller closes it, before s.
func NewSource(s *Store, cfg SourceConfig) (*Source, error) {
	at := slices.IndexFunc(sourceKinds, func(k sourceKind) bool { return k.name == cfg.Kind })
	if at < 0 {
		return nil, fmt.Errorf("directory.source %q is not known, use isc or openfire", cfg.Kind)
	}
	src := &Source{kind: sourceKinds[at], db: s}
	if cfg.DSN == "" {
		return src, nil
	}
	engine := DriverOf(cfg.DSN, s.dialect.name)
	if err := CheckDSN(engine, cfg.DSN); err != nil {
		return nil, fmt.Errorf("directory.dsn: %w", err)
	}
	d, err := dialectOf(engine)
	if err != nil {
		return nil, err
	}
	own := s.cfg
	own.DSN, own.MaxOpen, own.MaxIdle = cfg.DSN, maxSourceConns, 1
	own.Migrate = MigrateOff // a misspelt name must not make a file
	p, err := d.open(own)
	if err != nil {
		return nil, fmt.Errorf("directory.dsn: %w", err)
	}
	if p.admin != nil && p.admin != p.writer {
		err := p.admin.Close()
		p.admin = nil
		if err != nil {
			return nil, fmt.Errorf("directory.dsn: %w", err)
		}
	}
	src.owned = true
	src.db = &Store{cfg: own, log: s.log, dialect: d.assumingLoose(), pools: p, shapes: map[string]*shape{},
		turn: make(chan struct{}, 1), writers: map[statement]*prepared{}, wanted: map[statement]*command{}}
	return src, nil
}

// maxSourceConns bounds the connections to a database of a source: one poll and one write-back at a time need no more.
const maxSourceConns = 2

// Close ends the connections of the Source, if it has its own.
func (s *Source) Close() error {
	if !s.owned {
		return nil
	}
	return s.db.Close()
}

// Check says whether the tables are there, in whatever letter case. ErrSchema names each table and column that is missing, for
// an administrator to mend; ErrUnavailable: the database does not answer now.
func (s *Source) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.db.cfg.MaxWait)
	defer cancel()
	have, err := s.db.dialect.catalogue(ctx, s.db.pools.reader)
	if err != nil {
		return fmt.Errorf("directory.source %s: %w", s.kind.name, s.db.fail(err))
	}
	var missing []string
	names := map[string]string{}
	for table, columns := range s.kind.columns {
		there := have[strings.ToLower(table)]
		if there == nil {
			missing = append(missing, "table "+table)
			continue
		}
		names[table] = table
		if !slices.Contains(there.names, table) {
			names[table] = slices.Min(there.names)
		}
		for _, c := range columns {
			if _, there := there.columns[c]; !there {
				missing = append(missing, "column "+table+"."+c)
			}
		}
	}
	if len(missing) == 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.names = names
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("directory.source %s: %w: missing are %s; directory.dsn says where they are, when it is not the database of store.dsn",
		s.kind.name, ErrSchema, strings.Join(missing, ", "))
}

// named is a query with the tables' names as the database has them: MySQL may tell letter case apart, and a dump of a
// server that does not, as on Windows, has them all in lower case. It asks for them when nobody could yet; where it cannot, the
// query fails by itself.
func (s *Source) named(ctx context.Context, query string) string {
	s.mu.Lock()
	names := s.names
	s.mu.Unlock()
	if names == nil && s.Check(ctx) == nil {
		s.mu.Lock()
		names = s.names
		s.mu.Unlock()
	}
	return othersTable.ReplaceAllStringFunc(query, func(table string) string {
		if name := names[table]; name != "" {
			return name // the same letters
		}
		return table
	})
}

// othersTable finds the names of tables of others in a query.
var othersTable = regexp.MustCompile(`\b(isc_user|isc_user_info|ofUser)\b`)

// HasUsers says whether the source has anybody but the reserved ids: an Openfire that reads its users elsewhere (LDAP) has no
// others in its table.
func (s *Source) HasUsers(ctx context.Context, reserved ...string) (bool, error) {
	for after := ""; ; {
		users, done, err := s.Users(ctx, after, len(reserved)+1)
		if err != nil {
			return false, err
		}
		for _, u := range users {
			if !slices.ContainsFunc(reserved, func(id string) bool { return strings.EqualFold(id, u.ID) }) {
				return true, nil
			}
			after = u.ID
		}
		if done || len(users) == 0 {
			return false, nil
		}
	}
}

// Users reads users ordered by id, limit rows of them, from behind the id after ("" = from the first). A user who has several
// rows is answered once or more often; one without an id is left out. done says that there are no more.
func (s *Source) Users(ctx context.Context, after string, limit int) (users []SourceUser, done bool, err error) {
	for {
		users, after, done, err = s.users(ctx, after, limit)
		if len(users) > 0 || done || err != nil || after == "" { // a page of rows without infos is no answer
			break
		}
	}
	if err != nil {
		return nil, false, fmt.Errorf("read the users of %s: %w", s.kind.name, err)
	}
	return users, done, nil
}

// users reads a page and the id of its last row.
func (s *Source) users(ctx context.Context, after string, limit int) (users []SourceUser, last string, done bool, err error) {
	n := 0
	row := func(scan scanner) error {
		n++
		var u SourceUser
		into := []any{(*text)(&u.ID), (*text)(&u.Name), (*text)(&u.Login), (*text)(&u.PushCode)}
		if s.kind.infos == "" {
			into = append(into, (*text)(&u.Email), (*text)(&u.Pic))
		}
		if err := scan(into...); err != nil {
			return err
		}
		last = u.ID
		if u.ID != "" {
			users = append(users, u)
		}
		return nil
	}
	err = s.db.walk(ctx, s.named(ctx, s.kind.users), nil, s.kind.by, []string{after}, limit, row)
	done = n < limit
	if err == nil && !done && last != "" {
		// The column's collation may take two ids for equal, as e and é. Where the page ends between them, the next page would
		// leave out the second.
		end := last
		err = s.db.all(ctx, s.named(ctx, s.kind.same), []any{end, end}, row)
		last = end
	}
	if err == nil && s.kind.infos != "" {
		users, err = s.withInfos(ctx, users)
	}
	return users, last, done, err
}

// withInfos adds e-mail and picture, once for each row that has them.
func (s *Source) withInfos(ctx context.Context, users []SourceUser) ([]SourceUser, error) {
	ids, asked := make([]string, 0, len(users)), make(map[string]bool, len(users))
	for _, u := range users {
		if !asked[u.ID] {
			asked[u.ID] = true
			ids = append(ids, u.ID)
		}
	}
	infos := make(map[string][]SourceUser, len(ids))
	err := s.db.in(ctx, s.named(ctx, s.kind.infos), nil, ids, nil, func(scan scanner) error {
		var u SourceUser
		err := scan((*text)(&u.ID), (*text)(&u.Email), (*text)(&u.Pic))
		infos[u.ID] = append(infos[u.ID], u)
		return err
	})
	if err != nil {
		return nil, err
	}
	var whole []SourceUser
	for _, u := range users {
		for _, info := range infos[u.ID] {
			u.Email, u.Pic = info.Email, info.Pic
			whole = append(whole, u)
		}
	}
	return whole, nil
}

// OwnsAccounts says whether the users of the source are the server's accounts themselves.
func (s *Source) OwnsAccounts() bool { return s.kind.accounts }

// KeepsPush says whether the source keeps push codes.
func (s *Source) KeepsPush() bool { return s.kind.pushSet != "" }

// SetPush writes where a user's pushes go ("" = nowhere), and takes the code from whoever had it; in one transaction. A user
// whom the source does not have is no error. Where the source keeps no push codes it does nothing.
func (s *Source) SetPush(ctx context.Context, id, code string) error {
	if !s.KeepsPush() {
		return nil
	}
	taken, set := s.named(ctx, s.kind.pushTaken), s.named(ctx, s.kind.pushSet)
	err := s.db.unfenced(ctx, func(ctx context.Context, t *tx) error {
		if code != "" {
			if _, err := t.do(ctx, taken, code, id); err != nil {
				return err
			}
		}
		_, err := t.do(ctx, set, code, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("push code of %s in %s: %w", id, s.kind.name, s.db.fail(err))
	}
	return nil
}

// DeletePushCodes takes registrations that the vendor calls dead from whoever has them in the source. Where the source keeps no push
// codes it does nothing.
func (s *Source) DeletePushCodes(ctx context.Context, codes []string) error {
	if !s.KeepsPush() {
		return nil
	}
	dead := s.named(ctx, s.kind.pushDead)
	err := s.db.unfenced(ctx, func(ctx context.Context, t *tx) error { return t.doIn(ctx, dead, codes) })
	if err != nil {
		return fmt.Errorf("drop %d push codes in %s: %w", len(codes), s.kind.name, s.db.fail(err))
	}
	return nil
}
