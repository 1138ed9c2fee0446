package store_test

import (
	"database/sql"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "github.com/sijms/go-ora/v2"

	"tlim/store"
)

func init() { engines = append(engines, oracleEngine) }

// oracleEngine is a real server where TLIM_TEST_ORACLE_DSN names one, as oracle://user:password@127.0.0.1:1521/service, with a user of the
// tests' own: all tables of that user are dropped before each test. Else it is H2 in its mode, where TLIM_TEST_H2 has its address
// (scripts/h2).
var oracleEngine = engine{
	name:  "oracle",
	later: true,
	own:   ownOracle,
	fresh: func(t testing.TB, statements ...string) store.Config {
		statements = slices.Clone(statements)
		for i, s := range statements {
			statements[i] = ownOracle(s)
		}
		server := os.Getenv("TLIM_TEST_ORACLE_DSN")
		if server == "" {
			return freshH2(t, "oracle", "tlim_test_"+freshName(), statements)
		}
		raw := opened(t, "oracle", server)
		run(t, raw, `BEGIN FOR t IN (SELECT table_name FROM user_tables) LOOP EXECUTE IMMEDIATE 'DROP TABLE "' || t.table_name || '" CASCADE CONSTRAINTS PURGE'; END LOOP; END;`)
		run(t, raw, statements...)
		return store.Config{Driver: "oracle", DSN: server}
	},
	stands: func() string {
		if os.Getenv("TLIM_TEST_ORACLE_DSN") == "" {
			return standsH2
		}
		return `SELECT table_name, column_name || ' ' || data_type || ' ' || data_length || ' ' || char_used || ' ' || nullable || ' ' || column_id FROM user_tab_columns
			UNION ALL SELECT c.table_name, i.uniqueness || ' ' || c.column_position || ' ' || c.column_name || CASE WHEN c.index_name LIKE 'SYS%' THEN '' ELSE ' ' || c.index_name END
			FROM user_ind_columns c JOIN user_indexes i ON i.index_name = c.index_name ORDER BY 1, 2`
	},
	raw: func(t testing.TB, cfg store.Config) *sql.DB {
		if store.IsH2(cfg.DSN) {
			return rawH2(t, cfg)
		}
		return opened(t, "oracle", cfg.DSN)
	},
}

var (
	sessionUser = regexp.MustCompile(`\bsession_user\b`)
	manyRows    = regexp.MustCompile(`(?s)^(INSERT INTO \w+ ?(?:\([^)]*\))?) VALUES\s*(.*)$`)
)

// ownOracle quotes the one name that wants it, and selects the rows that VALUES alone takes one of.
func ownOracle(s string) string {
	s = sessionUser.ReplaceAllString(s, `"SESSION_USER"`)
	m := manyRows.FindStringSubmatch(s)
	if m == nil {
		return s
	}
	rows := tuples(m[2])
	if len(rows) < 2 {
		return s
	}
	return m[1] + " SELECT " + strings.Join(rows, " FROM dual UNION ALL SELECT ") + " FROM dual"
}

// tuples are the insides of "(…), (…)".
func tuples(s string) (list []string) {
	depth, start, quoted := 0, 0, false
	for i, c := range s {
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
		case c == '(':
			if depth++; depth == 1 {
				start = i + 1
			}
		case c == ')':
			if depth--; depth == 0 {
				list = append(list, s[start:i])
			}
		}
	}
	return list
}
