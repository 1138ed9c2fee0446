package store

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// What an Examination asks of MySQL and MariaDB.

func nowMySQL(ctx context.Context, db querier) (time.Time, error) {
	var ms number
	err := db.QueryRowContext(ctx, "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)").Scan(&ms)
	return time.UnixMilli(int64(ms)), err
}

// rightsMySQL lets the server explain a write of each table: it asks for the same rights as the write, which is not made. Of a table that
// the first start makes it asks for them before it says that the table is not there.
func rightsMySQL(ctx context.Context, db querier, have catalogue) ([]Advice, error) {
	account, err := accountMySQL(ctx, db)
	if err != nil {
		return nil, err
	}
	var readOnly number
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.read_only").Scan(&readOnly); err != nil {
		return nil, err
	}
	var advice []Advice
	if readOnly != 0 {
		advice = append(advice, Advice{true, "the server is read-only (read_only is on): it is a replica, or was one", "give store.dsn the address of the server that takes writes, or SET GLOBAL read_only = OFF"})
	}
	lacking := map[string][]string{} // tables, by right
	for _, t := range allTables() {
		column := t.columns[0].name
		for _, write := range []struct{ right, statement string }{
			{"SELECT", "SELECT 1 FROM " + t.name}, {"INSERT", "INSERT INTO " + t.name + " () VALUES ()"},
			{"UPDATE", "UPDATE " + t.name + " SET " + column + " = " + column}, {"DELETE", "DELETE FROM " + t.name},
		} {
			rows, err := db.QueryContext(ctx, "EXPLAIN "+write.statement)
			if err == nil {
				err = rows.Close()
			}
			switch mysqlNumber(err) {
			case 1044, 1142, 1143, 1227, 1345: // denied: the database, the table, the column, the right; what a plan would tell
				lacking[write.right] = append(lacking[write.right], t.name)
			case 0:
				if err != nil {
					return nil, err
				}
			}
		}
	}
	for _, right := range []string{"SELECT", "INSERT", "UPDATE", "DELETE"} {
		if tables := lacking[right]; len(tables) > 0 {
			advice = append(advice, Advice{true, fmt.Sprintf("the user of store.dsn lacks %s on %s", right, some(tables)), account.granting("SELECT, INSERT, UPDATE, DELETE")})
		}
	}
	lacks, told, err := ddlMySQL(ctx, db, account.database, "CREATE", "ALTER", "INDEX")
	if err == nil && told && len(lacks) > 0 {
		severe := len(have.ours()) < len(allTables())
		advice = append(advice, Advice{severe, fmt.Sprintf("the user of store.dsn lacks %s: the first start of a version cannot make what it needs", strings.Join(lacks, ", ")), account.granting("CREATE, ALTER, INDEX")})
	}
	return advice, err
}

// account is whom the server knows us as, and on which database.
type account struct{ database, user string }

func accountMySQL(ctx context.Context, db querier) (account, error) {
	var user, database text
	if err := db.QueryRowContext(ctx, "SELECT CURRENT_USER(), DATABASE()").Scan(&user, &database); err != nil {
		return account{}, err
	}
	name, host, _ := strings.Cut(string(user), "@")
	quoted := strings.NewReplacer("'", "''")
	return account{string(database), "'" + quoted.Replace(name) + "'@'" + quoted.Replace(host) + "'"}, nil
}

// granting is the statement that gives the user rights.
func (a account) granting(rights string) string {
	return "GRANT " + rights + " ON `" + strings.ReplaceAll(a.database, "`", "``") + "`.* TO " + a.user
}

// grant is a line of SHOW GRANTS about a database or all of them.
var grant = regexp.MustCompile("^GRANT (.+) ON (?:\\*|`((?:[^`]|``)+)`)\\.\\* TO ")

// ddlMySQL lists the wanted rights on tables themselves that the user lacks; told is false where a role may have them.
func ddlMySQL(ctx context.Context, db querier, database string, wanted ...string) (lacking []string, told bool, err error) {
	granted := map[string]bool{}
	told = true
	err = each(ctx, db, "SHOW GRANTS FOR CURRENT_USER()", func(scan scanner) error {
		var line text
		if err := scan(&line); err != nil {
			return err
		}
		m := grant.FindStringSubmatch(string(line))
		switch {
		case m == nil && strings.HasPrefix(string(line), "GRANT ") && !strings.Contains(string(line), " ON "):
			told = false // a role
		case m != nil && (m[2] == "" || likeMySQL(m[2], database)):
			for _, right := range strings.Split(m[1], ", ") {
				granted[right] = true
			}
		}
		return nil
	})
	for _, right := range wanted {
		if !granted[right] && !granted["ALL PRIVILEGES"] {
			lacking = append(lacking, right)
		}
	}
	return lacking, told, err
}

// likeMySQL says whether the pattern of a grant, with % and _ and their escapes, is for a database.
func likeMySQL(pattern, database string) bool {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; {
		case c == '\\' && i+1 < len(pattern):
			i++
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		case c == '%':
			b.WriteString(".*")
		case c == '_':
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	matched, err := regexp.MatchString("^(?i:"+b.String()+")$", database)
	return matched && err == nil
}

// durabilityMySQL: settings with which acknowledged messages can be lost, and tables without transactions.
func durabilityMySQL(ctx context.Context, db querier) ([]Advice, error) {
	var flush, binlog sql.NullInt64
	if err := db.QueryRowContext(ctx, "SELECT @@innodb_flush_log_at_trx_commit, IF(@@log_bin, @@sync_binlog, 1)").Scan(&flush, &binlog); err != nil {
		return nil, err
	}
	var advice []Advice
	if flush.Int64 != 1 {
		advice = append(advice, Advice{false, fmt.Sprintf("innodb_flush_log_at_trx_commit is %d: messages that were acknowledged can be lost in a power cut", flush.Int64),
			"set it to 1: SET GLOBAL innodb_flush_log_at_trx_commit = 1, and in the server's configuration file"})
	}
	if binlog.Int64 != 1 {
		advice = append(advice, Advice{false, fmt.Sprintf("sync_binlog is %d: after a power cut a replica can lack messages that were acknowledged", binlog.Int64),
			"set it to 1: SET GLOBAL sync_binlog = 1, and in the server's configuration file"})
	}
	// A server of MySQL's early days made the old tables by MyISAM.
	ours := map[string]bool{}
	for _, t := range allTables() {
		ours[t.name] = true
	}
	err := each(ctx, db, `SELECT table_name, engine FROM information_schema.tables
		WHERE table_schema = DATABASE() AND engine <> 'InnoDB' ORDER BY table_name`, func(scan scanner) error {
		var table, engine text
		if err := scan(&table, &engine); err != nil {
			return err
		}
		if name := strings.ToLower(string(table)); ours[name] {
			advice = append(advice, Advice{false, fmt.Sprintf("%s is kept by %s, which has no transactions: a crash can lose or double what was acknowledged", name, engine),
				fmt.Sprintf("ALTER TABLE %s ENGINE=InnoDB, which locks the table", name)})
		}
		return nil
	})
	return advice, err
}

// numbersMySQL is the number that the next row of each table gets. MySQL 8 answers from statistics that can be a day old, which does for a warning far below the end.
func numbersMySQL(ctx context.Context, db querier) (map[string]int64, error) {
	next := map[string]int64{}
	err := each(ctx, db, `SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema = DATABASE() AND auto_increment IS NOT NULL`, func(scan scanner) error {
		var table text
		var n number
		if err := scan(&table, &n); err != nil {
			return err
		}
		next[strings.ToLower(string(table))] = int64(n)
		return nil
	})
	return next, err
}

// rangesMySQL are the largest numbers of the types that a legacy table can number its rows by.
var rangesMySQL = map[string]int64{"tinyint": 1<<7 - 1, "smallint": 1<<15 - 1, "mediumint": 1<<23 - 1, "int": 1<<31 - 1, "integer": 1<<31 - 1, "bigint": 1<<63 - 1}

func headroomMySQL(ctx context.Context, db querier, have catalogue) (advice []Advice, err error) {
	next, err := numbersMySQL(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, t := range deployedTables {
		info := have[t.name]
		if info == nil {
			continue
		}
		for _, c := range info.columns {
			most := rangesMySQL[c.kind]
			if !c.numbered || most == 0 {
				continue
			}
			if used := float64(next[t.name]) / float64(most); used >= headroomWarn {
				advice = append(advice, Advice{used >= headroomSevere, fmt.Sprintf("%s.%s is %s and its next number is %d of %d: at the end no row can be added", t.name, c.name, c.kind, next[t.name], most),
					"in a quiet hour, ALTER TABLE " + t.name + " MODIFY " + c.name + " bigint NOT NULL AUTO_INCREMENT, which locks the table"})
			}
		}
	}
	return advice, nil
}

// rowsMySQL is the server's estimate.
func rowsMySQL(ctx context.Context, db querier, table string) (int64, error) {
	var n number
	err := db.QueryRowContext(ctx, `SELECT table_rows FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?`, table).Scan(&n)
	return int64(n), err
}
