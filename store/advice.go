package store

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// conversions names the tables whose text columns lose characters, or whose collation takes more for equal than we do, and the
// statement that mends each; and says when the deployed ones do not agree with each other. Engines whose columns have neither get
// no advice.
func (d *dialect) conversions(have catalogue) []string {
	var advice []string
	mixed := map[string]bool{}
	for _, t := range allTables() {
		info := have[t.name]
		if info == nil {
			continue
		}
		collations := info.collations()
		if isDeployed(t) {
			for _, c := range collations {
				mixed[c] = true
			}
		}
		var faults []string
		if charset := info.narrowest(); charset != "" {
			faults = append(faults, fmt.Sprintf("has the character set %s: %s", charset, loses(t, charset)))
		}
		if loose := slices.DeleteFunc(collations, d.exactCollation); len(loose) > 0 {
			faults = append(faults, fmt.Sprintf("has the collation %s, which takes lísi for lisi: ids that differ in no more cannot both be in it, and other programs find one by the other", strings.Join(loose, " and ")))
		}
		if len(faults) > 0 {
			advice = append(advice, fmt.Sprintf("%s %s (%s)", t.name, strings.Join(faults, ", and "), d.convert(t.name)))
		}
	}
	if len(mixed) > 1 {
		advice = append(advice, fmt.Sprintf("the tables have different collations (%s): other programs that join them get an error, or read without an index; convert all to %s",
			strings.Join(slices.Sorted(maps.Keys(mixed)), ", "), d.collation))
	}
	return advice
}

func isDeployed(t table) bool {
	return slices.ContainsFunc(deployedTables, func(d table) bool { return d.name == t.name })
}

// loses says what a table of ours cannot hold in a character set.
func loses(t table, charset string) string {
	lost := "Chinese and emoji"
	switch {
	case slices.Contains(plane, charset):
		lost = "emoji and rare Chinese characters (beyond U+FFFF)"
	case slices.Contains([]string{"gbk", "gb2312", "big5"}, charset):
		lost = "emoji and characters that " + strings.ToUpper(charset) + " lacks"
	case slices.Contains([]string{"sjis", "cp932", "ujis", "eucjpms", "euckr"}, charset):
		lost = "emoji and most Chinese"
	}
	switch t.name {
	case tMessage.name, tOffline.name:
		return "messages with " + lost + " are refused"
	case tAnnouncement.name:
		return "announcements with " + lost + " are refused"
	case tGroup.name, tMember.name, tChat.name:
		return "names lose " + lost
	}
	return lost + " are refused"
}

// collations are those of the table's texts, each once.
func (t *tableInfo) collations() []string {
	found := map[string]bool{}
	for _, c := range t.columns {
		if c.collation != "" {
			found[c.collation] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// narrowest is a character set of the table that lacks characters; of several one that lacks more than what is beyond U+FFFF.
func (t *tableInfo) narrowest() string {
	found := ""
	for _, name := range slices.Sorted(maps.Keys(t.columns)) {
		if set := t.columns[name].charset; !slices.Contains(whole, set) && (found == "" || slices.Contains(plane, found)) {
			found = set
		}
	}
	return found
}

// tellApart says whether all these columns of a table tell all texts apart.
func (d *dialect) tellApart(t *tableInfo, columns []string) bool {
	return !slices.ContainsFunc(columns, func(c string) bool { return !d.exactCollation(t.columns[c].collation) })
}
