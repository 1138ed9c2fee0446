package stanza

import (
	"errors"
	"fmt"
	"strings"

	"github.com/xdg-go/stringprep"
	"golang.org/x/text/unicode/norm"
)

var errNotStable = errors.New("characters that change each time they are prepared")

// unknownRune is the error for a character that Unicode 3.2 does not know, or knows otherwise.
type unknownRune rune

func (u unknownRune) Error() string {
	return fmt.Sprintf("the character %U, which Unicode 3.2 does not know or knows otherwise", rune(u))
}

// normalize is NFKC of Unicode 3.2 (RFC 3454 section 4), but for what [corrected] and [ambiguous] name. A code point that was
// assigned later has no decomposition there, joins nothing and stays where it is; everything else is normalised as it is today,
// which the stability policy of Unicode promises.
func normalize(s string) string {
	var b strings.Builder
	from := 0
	for i, r := range s {
		if stringprep.TableA1.Contains(r) {
			b.WriteString(norm.NFKC.String(s[from:i]))
			b.WriteRune(r)
			from = i + len(string(r))
		}
	}
	if from == 0 {
		return norm.NFKC.String(s)
	}
	b.WriteString(norm.NFKC.String(s[from:]))
	return b.String()
}

// corrected names the five ideographs whose decompositions Unicode 4.0 changed (Corrigendum 4): servers and we make different
// characters of them.
func corrected(r rune) bool {
	switch r {
	case 0x2F868, 0x2F874, 0x2F91F, 0x2F95F, 0x2F9BF:
		return true
	}
	return false
}

// ambiguous says whether s holds a sequence that the composition of Unicode 3.2, as it was written, joins and that of 4.1 does
// not (Corrigendum 5): a character, a combining one, and one that is none but would join the first.
func ambiguous(s string) bool {
	first, parted := rune(-1), false
	for i, r := range s {
		switch {
		case norm.NFC.PropertiesString(s[i:]).CCC() != 0:
			parted = true
			continue
		case parted && first >= 0:
			if pair := string(first) + string(r); norm.NFC.String(pair) != pair {
				return true
			}
		}
		first, parted = r, false
	}
	return false
}
