package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Nearest returns the candidate that a misspelt word is nearest to, and whether it is near enough to be shown: what is like none of
// them may be a secret.
func Nearest(word string, candidates []string) (near string, like bool) {
	near = nearest(word, candidates)
	return near, alike(word, near)
}

// unknownKey says which known key the misspelt one of a section is nearest to. What is like none of them is not shown: it may be
// a part of a secret that has lost its key.
func unknownKey(section, key string) string {
	names := make([]string, 0, 2*len(keys))
	for _, k := range keys {
		names = append(names, k.name)
		if section, _, ok := strings.Cut(k.name, "."); ok && !slices.Contains(names, section) {
			names = append(names, section)
		}
		if k.secret() {
			names = append(names, k.name+"_file")
		}
	}
	if list, _, ok := strings.Cut(section, "["); ok { // a key of a list element: only its neighbours are near
		known, fields := "name key key_file scopes rate robot", "name, key, key_file, scopes, rate and robot"
		if strings.HasSuffix(section, ".robot") {
			known, fields, list = "id name", "id and name", "a robot"
		}
		if near := nearest(key, strings.Fields(known)); !alike(key, near) {
			return fmt.Sprintf("unknown key in %s, which has %s", section, fields)
		}
		return fmt.Sprintf("unknown key %s.%s; %s has %s", section, key, cmp.Or(list, "a key"), fields)
	}
	name := key
	if section != "" {
		name = section + "." + key
	}
	best := nearest(name, names)
	switch {
	case best == name:
		return fmt.Sprintf("%s must be written as a section with its key below it, without the dot", name)
	case alike(name, best):
		return fmt.Sprintf("unknown key %s; the nearest known one is %s", name, best)
	case section != "":
		return "unknown key in the section " + section
	}
	return "unknown key"
}

// alike says whether a name is one of tlim's, misspelt or in the wrong section, rather than something else.
func alike(name, known string) bool {
	if strings.ContainsFunc(name, func(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '_' || r == '.') }) {
		return false
	}
	return last(name) == last(known) || distance(last(name), last(known)) <= max(2, len(last(name))/3)
}

// nearest returns the candidate with the fewest letters to change. A right last part in the wrong section counts as near.
func nearest(name string, candidates []string) string {
	slices.Sort(candidates)
	best, least := "", 0
	for _, c := range candidates {
		d := distance(name, c)
		if last(name) == last(c) {
			d = min(d, 2)
		}
		if best == "" || d < least {
			best, least = c, d
		}
	}
	return best
}

func last(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// maxCompared bounds the work for a name that somebody pasted a page into.
const maxCompared = 128

// distance is the number of letters to insert, delete or replace between a and b (Levenshtein), neighbours swapped counting as one.
func distance(a, b string) int {
	a, b = a[:min(len(a), maxCompared)], b[:min(len(b), maxCompared)]
	before, row, next := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		next[0] = i
		for j := 1; j <= len(b); j++ {
			replace := row[j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			next[j] = min(replace, row[j]+1, next[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row, next = row, next, before
	}
	return row[len(b)]
}
