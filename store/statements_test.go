package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestStatements renders every statement in the form of each engine, for people who know that engine to read.
func TestStatements(t *testing.T) {
	for _, d := range engines() {
		t.Run(d.name, func(t *testing.T) {
			got := strings.Join(statementsOf(t, d), "\n")
			golden(t, filepath.Join("testdata", "statements", d.name+".sql"), got)
		})
	}
}

// TestNumberedStatements renders all statements of SQL Server that compare an id with the numbers of an old table, and what stands in
// the place of an id: no text, which would be converted and be an error.
func TestNumberedStatements(t *testing.T) {
	s := &Store{dialect: &sqlserverDialect, shapes: map[string]*shape{}}
	for _, of := range allTables() {
		s.shapes[of.name] = s.dialect.shapeOf(of)
		if of.columns[0].name == "id_" {
			s.shapes[of.name].number()
		}
	}
	var lines []string
	for _, q := range append(everyQuery(), walks...) {
		if strings.Contains(q, "?*") {
			q = list(q, 2)
		}
		c := s.command(q)
		if c.numbers == nil || slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, c.text+"; --") }) {
			continue
		}
		line := c.text + "; --"
		for _, id := range []string{"", "x", "05", "5"} {
			args := make([]any, len(c.compared))
			for i := range args {
				args[i] = id
			}
			line += fmt.Sprintf(" %q:", id)
			for place, v := range c.arrange(args) {
				n := place
				if c.args != nil {
					n = c.args[place]
				}
				if c.numbers[n] {
					line += fmt.Sprintf(" @p%d %v,", place+1, v)
				}
			}
		}
		lines = append(lines, strings.TrimSuffix(line, ","))
	}
	golden(t, filepath.Join("testdata", "numbers.sql"), strings.Join(lines, "\n")+"\n")
}

// golden compares with a file, or writes it.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if updating() {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("got %v, want the file: write it by go test ./store -run Statements -update", err)
	}
	lines := strings.Split(string(want), "\n")
	for i, line := range strings.Split(got, "\n") {
		if i >= len(lines) || lines[i] != line {
			t.Fatalf("%s:%d: got %s\nwant %s\n(-update writes it anew: read the diff)", file, i+1, line, slices.Concat(lines, []string{"nothing"})[min(i, len(lines))])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d bytes rendered, want %d as in %s", len(got), len(want), file)
	}
}

// updating says whether -update was given: the golden files of testdata/statements are written anew.
func updating() bool { return slices.Contains(os.Args, "-update") }

// statementsOf are all statements with lists of two, then pages, then inserts.
func statementsOf(t *testing.T, d *dialect) (lines []string) {
	render := func(text string) {
		lines = append(lines, strings.Join(strings.Fields(d.text(text)), " ")+";")
	}
	seen := map[string]bool{}
	for _, q := range append(everyQuery(), walks...) {
		if strings.Contains(q, "?*") {
			q = list(q, 2)
		}
		if strings.Contains(q, ")*") {
			q = alternatives(q, 2)
		}
		if !seen[q] {
			seen[q] = true
			render(q)
		}
	}
	lines = append(lines, "", "-- pages")
	for _, q := range []string{`SELECT 1 FROM ofmessage`, receiptSome, pushDue, offlineAll + offlineKeys.order(), `SELECT ` + messageColumns + ` FROM ofmessage WHERE ` + groupWhere + newestFirst} {
		paged, _ := d.page(q, nil, 10, 0)
		render(paged)
	}
	nothing, _ := d.page(receiptReaders, nil, 0, 0)
	render(nothing)
	deep, _ := d.page(`SELECT id_ AS k FROM ofmessage WHERE `+groupWhere+newestFirst, nil, 10, 2000)
	render(messagesOfKeys(deep))
	both, _ := d.chatKeys("a", "b", Page{Length: 10, BeforeTime: "1", BeforeID: "m"})
	render(messagesOfKeys(both))
	searched, _ := d.page(`SELECT `+messageColumns+` FROM ofmessage WHERE `+groupWhere+clearText+newestFirst, nil, 10, 0)
	render(searched)
	lines = append(lines, "", "-- writes of many rows")
	render(chatMove(2))
	s := &Store{dialect: d, shapes: map[string]*shape{}}
	for _, of := range allTables() {
		s.shapes[of.name] = d.shapeOf(of)
		r := s.rowsOf(of, rowSizes[1])
		for range rowSizes[1] {
			values := make([]any, len(of.columns))
			for i, c := range of.columns {
				values[i] = "x"
				if c.limit == 0 && c.name != "body" && c.name != "content" && c.name != "receivers" {
					values[i] = int64(1)
				}
			}
			r.add(values...)
		}
		err := d.insert(t.Context(), func(_ context.Context, _ string, n int, text func() string, _ []any) (int64, error) {
			render(text())
			return int64(n), nil
		}, r)
		if err != nil {
			t.Fatal(err)
		}
	}
	return append(lines, "")
}
