package store

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestPrefixedStatements: behind a prefix no statement names a table or an index of the site.
func TestPrefixedStatements(t *testing.T) {
	for _, d := range engines() {
		t.Run(d.name, func(t *testing.T) {
			if d.version == "" {
				t.Error("it does not say how to ask for its version, want it to")
			}
			under := d.under("TLIMTEST_")
			parts, err := schema(d.name)
			if err != nil {
				t.Fatal(err)
			}
			statements := statementsOf(t, under)
			for _, p := range parts {
				if n := len(ScratchPrefix + p.name); n > 30 {
					t.Errorf("%s%s has %d characters, want at most 30, as Oracle 11g takes", ScratchPrefix, p.name, n)
				}
				statements = append(statements, under.named(p.sql))
			}
			plain, err := os.ReadFile(filepath.Join("testdata", "statements", d.name+".sql"))
			if err != nil {
				t.Fatal(err)
			}
			named := 0
			for _, s := range statements {
				for _, name := range regexp.MustCompile(`\b(?:FROM|JOIN|UPDATE|INTO|TABLE|INDEX|CONSTRAINT|ON)\s+([\w"\[\]`+"`"+`]+)`).FindAllStringSubmatch(s, -1) {
					if slices.Contains([]string{"isc_user", "isc_user_info", "ofUser"}, name[1]) { // of a source of users, which nothing behind a prefix reads
						continue
					}
					if name[1] == "p" || name[1] == "UPDATE" || strings.HasPrefix(s, "-- ") { // an alias
						continue
					}
					if named++; !strings.HasPrefix(name[1], "TLIMTEST_") && !strings.HasPrefix(name[1], "p.") {
						t.Errorf("got the table %s, want it named with the prefix, in: %s", name[1], s)
					}
				}
			}
			if named < 200 {
				t.Errorf("got %d names in all statements, want more than 200: the test looks for the wrong thing", named)
			}
			if got := strings.ReplaceAll(strings.Join(statementsOf(t, under), "\n"), "TLIMTEST_", ""); got != string(plain) {
				t.Error("behind a prefix the statements differ in more than it, want only that")
			}
		})
	}
}

// PlantedFaults are things that an engine could do otherwise, each in the dialect of SQLite.
var PlantedFaults = map[string]func(d *dialect){
	"a page begins one row late": func(d *dialect) {
		d.page = func(query string, args []any, length, offset int64) (string, []any) {
			return limitOffset(query, args, length, max(offset, min(offset+1, 1)))
		}
	},
	"a duplicate is not known as one": func(d *dialect) { d.classify = func(error) error { return nil } },
	"blanks at the end are cut": func(d *dialect) {
		d.value = func(v any) any {
			if s, ok := v.(string); ok {
				return strings.TrimRight(s, " ")
			}
			return v
		}
	},
	"emoji become question marks": func(d *dialect) {
		d.value = func(v any) any {
			if s, ok := v.(string); ok {
				return regexp.MustCompile(`[\x{10000}-\x{10ffff}]`).ReplaceAllString(s, "?")
			}
			return v
		}
	},
	"ids are compared without regard to case": func(d *dialect) {
		d.loose = true
		d.exact = func(column string) string { return column + " COLLATE NOCASE" }
		d.value = func(v any) any {
			if s, ok := v.(string); ok {
				return strings.ToLower(s)
			}
			return v
		}
	},
	"a family takes in all types": func(d *dialect) {
		d.family = func(column, _ string) string { return column + " > ''" }
	},
	"an error of a lock is one of data": func(d *dialect) {
		known := d.classify
		d.classify = func(err error) error {
			if strings.Contains(err.Error(), "SQLITE_BUSY") {
				return ErrData
			}
			return known(err)
		}
	},
}

// Plant puts a fault into the dialect of SQLite until the test ends.
func Plant(t *testing.T, change func(*dialect)) {
	broken := sqliteDialect
	change(&broken)
	dialects[broken.name] = &broken
	t.Cleanup(func() { dialects[broken.name] = &sqliteDialect })
}

// TestScratchPrefix: what could be more than the beginning of a name is refused.
func TestScratchPrefix(t *testing.T) {
	for _, good := range []string{ScratchPrefix, "TLIMTEST_", "a_", "a1_"} {
		t.Run(good, func(t *testing.T) {
			if err := CheckScratchPrefix(good); err != nil {
				t.Errorf("%s: got %v, want no error", good, err)
			}
		})
	}
	for _, bad := range []string{"", "_", "a", "1_", "a b_", "a__", "a-_", "ä_", "x;_", "x_y", strings.Repeat("a", 12) + "_"} {
		t.Run(fmt.Sprintf("%q", bad), func(t *testing.T) {
			if CheckScratchPrefix(bad) == nil {
				t.Errorf("%q: got no error, want one", bad)
			}
		})
	}
	have := catalogue{"of_ofmessage": {names: []string{"OF_ofmessage"}}, "ofmessage": {names: []string{"ofmessage"}}}
	if got := have.under("OF_").spelled(); !slices.Equal(got, []string{"OF_ofmessage"}) {
		t.Errorf("got %v, want OF_ofmessage alone", got)
	}
}
