package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// unfitMySQL finds what has the name of a table of ours and is none, or is one in which no row of ours can stand.
func unfitMySQL(ctx context.Context, db querier, have catalogue) (advice []Advice, err error) {
	var caseless number
	if err := db.QueryRowContext(ctx, "SELECT @@GLOBAL.lower_case_table_names").Scan(&caseless); err != nil {
		return nil, err
	}
	parts, err := schema("mysql")
	if err != nil {
		return nil, err
	}
	severe := func(seen, remedy string) { advice = append(advice, Advice{true, seen, remedy}) }
	plain := map[string]bool{} // tables of ours, as the server spells them
	if err := each(ctx, db, `SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = DATABASE() ORDER BY table_name`, func(scan scanner) error {
		var name, kind text
		if err := scan(&name, &kind); err != nil || !isOurs(string(name)) {
			return err
		}
		ours := strings.ToLower(string(name))
		switch {
		case caseless == 0 && string(name) != ours:
			if info := have[ours]; info != nil && !slices.Contains(info.names, ours) {
				severe(fmt.Sprintf("the table %s is %s here, and this server tells letter case apart", ours, name), fmt.Sprintf("RENAME TABLE `%s` TO `%s`", name, ours))
			}
		case kind == "VIEW" || kind == "SYSTEM VIEW":
			severe(fmt.Sprintf("%s is a view: it takes no columns and no indexes", name), fmt.Sprintf("give its table that name: DROP VIEW %s; RENAME TABLE … TO %s", name, name))
		case kind == "SEQUENCE":
			severe(fmt.Sprintf("%s is a sequence and no table", name), fmt.Sprintf("give it another name: RENAME TABLE %s TO …", name))
		case kind == "SYSTEM VERSIONED" && slices.ContainsFunc(missing(parts, have), func(p part) bool { return p.table == ours }):
			severe(fmt.Sprintf("%s keeps the history of its rows (SYSTEM VERSIONING), and lets nobody add columns and indexes", name), fmt.Sprintf("ALTER TABLE %s DROP SYSTEM VERSIONING, or SET GLOBAL system_versioning_alter_history = KEEP", name))
		default:
			plain[string(name)] = true
		}
		return nil
	}); err != nil {
		return nil, err
	}
	if err := each(ctx, db, `SELECT table_name, column_name, column_type, extra FROM information_schema.columns
		WHERE table_schema = DATABASE() AND (is_nullable = 'NO' AND column_default IS NULL OR extra LIKE '%GENERATED%') ORDER BY table_name, ordinal_position`, func(scan scanner) error {
		var table, name, kind, extra text
		if err := scan(&table, &name, &kind, &extra); err != nil || !plain[string(table)] {
			return err
		}
		how := strings.ToUpper(string(extra))
		generated := strings.Contains(strings.ReplaceAll(how, "DEFAULT_GENERATED", ""), "GENERATED")
		ours := columnOf(string(table), string(name))
		switch {
		case generated && ours:
			severe(fmt.Sprintf("%s.%s is computed by the database, and takes no value", table, name), fmt.Sprintf("make it a plain column: ALTER TABLE %s MODIFY %s %s", table, name, kind))
		case !generated && !ours && !strings.Contains(how, "AUTO_INCREMENT") && !strings.Contains(how, "DEFAULT_GENERATED"):
			severe(fmt.Sprintf("%s.%s is not the plugin's, must not be NULL and has no default: no row can be added", table, name), fmt.Sprintf("ALTER TABLE %s MODIFY %s %s NULL", table, name, kind))
		}
		return nil
	}); err != nil {
		return nil, err
	}
	return advice, each(ctx, db, `SELECT trigger_name, action_timing, event_manipulation, event_object_table FROM information_schema.triggers
		WHERE event_object_schema = DATABASE() ORDER BY event_object_table, trigger_name`, func(scan scanner) error {
		var name, when, what, table text
		if err := scan(&name, &when, &what, &table); err != nil || !isOurs(string(table)) {
			return err
		}
		advice = append(advice, Advice{false, fmt.Sprintf("the trigger %s runs %s %s of %s: each write waits for it, and a row that it refuses is not stored", name, strings.ToLower(string(when)), what, table),
			fmt.Sprintf("see whether it is still wanted: SHOW CREATE TRIGGER %s; DROP TRIGGER %s", name, name)})
		return nil
	})
}

func foreignKeysMySQL(ctx context.Context, db querier) (keys []foreignKey, err error) {
	err = each(ctx, db, `SELECT constraint_name, table_name, referenced_table_name, column_name, referenced_column_name FROM information_schema.key_column_usage
		WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL ORDER BY table_name, constraint_name, ordinal_position`, func(scan scanner) error {
		var name, table, to, column, toColumn text
		if err := scan(&name, &table, &to, &column, &toColumn); err != nil {
			return err
		}
		if last := len(keys) - 1; last < 0 || keys[last].name != string(name) || keys[last].table != string(table) {
			keys = append(keys, foreignKey{name: string(name), table: string(table), to: string(to), drop: fmt.Sprintf("ALTER TABLE %s DROP FOREIGN KEY `%s`", table, name)})
		}
		k := &keys[len(keys)-1]
		k.columns, k.toColumns = append(k.columns, strings.ToLower(string(column))), append(k.toColumns, strings.ToLower(string(toColumn)))
		return nil
	})
	return keys, err
}
