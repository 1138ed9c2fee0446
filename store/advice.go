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
	for _, t := range allTables() {
		var faults []string
		for _, fault := range []string{charsetFault(t, have[t.name]), d.collationFault(have[t.name])} {
			if fault != "" {
				faults = append(faults, fault)
			}
		}
		if len(faults) > 0 {
			advice = append(advice, fmt.Sprintf("%s %s (%s)", t.name, strings.Join(faults, ", and "), d.convert(t.name)))
		}
	}
	if mixed := mixedCollations(have); len(mixed) > 1 {
		advice = append(advice, fmt.Sprintf("%s; convert all to %s", mixture(mixed), d.collation))
	}
	return advice
}

// charsetFault is what a table loses by its character set; "" where it loses nothing or is not there.
func charsetFault(t table, info *tableInfo) string {
	if info == nil || info.narrowest().lacks == lacksNothing {
		return ""
	}
	return fmt.Sprintf("has the character set %s: %s", info.narrowest().name, loses(t, info.narrowest()))
}

// collationFault is what a table takes for equal although it is not; "" where that is nothing, or it is not there.
func (d *dialect) collationFault(info *tableInfo) string {
	if info == nil {
		return ""
	}
	loose := slices.DeleteFunc(info.collations(), d.exactCollation)
	if len(loose) == 0 {
		return ""
	}
	return fmt.Sprintf("has the collation %s, which takes lísi for lisi: ids that differ in no more cannot both be in it, and other programs find one by the other", strings.Join(loose, " and "))
}

// mixedCollations are those of the deployed tables, each once.
func mixedCollations(have catalogue) []string {
	mixed := map[string]bool{}
	for _, t := range deployedTables {
		if have[t.name] != nil {
			for _, c := range have[t.name].collations() {
				mixed[c] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(mixed))
}

func mixture(collations []string) string {
	return fmt.Sprintf("the tables have different collations (%s): other programs that join them get an error, or read without an index", strings.Join(collations, ", "))
}

func isDeployed(t table) bool {
	return slices.ContainsFunc(deployedTables, func(d table) bool { return d.name == t.name })
}

func isDeployedName(name string) bool { return isDeployed(table{name: name}) }

// loses says what a table of ours cannot hold in a character set.
func loses(t table, set charset) string {
	lost := "Chinese and emoji"
	switch set.lacks {
	case lacksPlanes:
		lost = "emoji and rare Chinese characters (beyond U+FFFF)"
	case lacksSome:
		lost = "emoji and characters that " + strings.ToUpper(set.name) + " lacks"
	case lacksMost:
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
	return "texts with " + lost + " are refused"
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
func (t *tableInfo) narrowest() (found charset) {
	for _, name := range slices.Sorted(maps.Keys(t.columns)) {
		if set := t.columns[name].charset; set.lacks != lacksNothing && found.lacks <= lacksPlanes {
			found = set
		}
	}
	return found
}

// tellApart says whether all these columns of a table tell all texts apart.
func (d *dialect) tellApart(t *tableInfo, columns []string) bool {
	return !slices.ContainsFunc(columns, func(c string) bool { return !d.exactCollation(t.columns[c].collation) })
}

// some are the first of a list.
func some(list []string) string {
	const maxNamed = 5
	if len(list) <= maxNamed {
		return strings.Join(list, ", ")
	}
	return strings.Join(slices.Clone(list[:maxNamed]), ", ") + fmt.Sprintf(" and %d more", len(list)-maxNamed)
}
