package stanza

import (
	"errors"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// The profiles of stringprep (RFC 3454) that addresses need.
var (
	nodeprepProfile = newProfile(stringprep.Profile{ // RFC 3920 appendix A
		Mappings: []stringprep.Mapping{tableB1, stringprep.TableB2},
		Prohibits: []stringprep.Set{
			stringprep.TableC1_1, stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2,
			stringprep.TableC3, stringprep.TableC4, stringprep.TableC5, stringprep.TableC6, stringprep.TableC7,
			stringprep.TableC8, stringprep.TableC9,
			{{'"', '"'}, {'&', '\''}, {'/', '/'}, {':', ':'}, {'<', '<'}, {'>', '>'}, {'@', '@'}},
		},
		CheckBiDi: true,
	})
	nameprepProfile = newProfile(stringprep.Profile{ // RFC 3491
		Mappings: []stringprep.Mapping{tableB1, stringprep.TableB2},
		Prohibits: []stringprep.Set{
			stringprep.TableC1_2, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4, stringprep.TableC5,
			stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
		},
		CheckBiDi: true,
	})
	resourceprepProfile = newProfile(stringprep.Profile{ // RFC 3920 appendix B
		Mappings: []stringprep.Mapping{tableB1},
		Prohibits: []stringprep.Set{
			stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4,
			stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
		},
		CheckBiDi: true,
	})
)

// tableB1 adds what the library's table has left out.
var tableB1 = func() stringprep.Mapping {
	table := stringprep.Mapping{0x1806: nil}
	maps.Copy(table, stringprep.TableB1)
	return table
}()

// profile holds the steps of stringprep before the normalisation and those after it. The library's own normalisation is that of
// today's Unicode; stringprep is defined by Unicode 3.2, and so are the servers' libraries: see [normalize].
type profile struct{ before, after stringprep.Profile }

func newProfile(p stringprep.Profile) *profile {
	return &profile{before: stringprep.Profile{Mappings: p.Mappings}, after: stringprep.Profile{Prohibits: p.Prohibits, CheckBiDi: p.CheckBiDi}}
}

func (p *profile) run(s string) (string, error) {
	mapped, err := p.before.Prepare(s)
	if err != nil {
		return "", err
	}
	return p.after.Prepare(normalize(mapped))
}

func nodeprep(s string) (string, error) {
	plain, onlyASCII := scan(s, inLocal)
	switch {
	case plain:
		return s, fits(s)
	case onlyASCII:
		if ok, _ := scan(s, inLocal|upper); ok {
			return strings.ToLower(s), fits(s)
		}
	}
	if err := fits(s); err != nil || plainHan(s) {
		return s, err
	}
	if !utf8.ValidString(s) {
		return "", errNotUTF8
	}
	// What Unicode 3.2 does not know is refused as it was given. Behind the normalisation it would be too late: today's makes
	// plain letters of some of it, and an id that no account can have would be another one's.
	for _, r := range s {
		if stringprep.TableA1.Contains(r) || corrected(r) {
			return "", unknownRune(r)
		}
	}
	out, err := prepare(nodeprepProfile, s)
	if err != nil {
		return "", err
	}
	if again, err := prepare(nodeprepProfile, out); err != nil || again != out || ambiguous(out) {
		return "", errNotStable
	}
	return out, nil
}

// plainHan says whether s is made of characters that nodeprep leaves alone, as nearly all names beyond ASCII are: the CJK unified
// ideographs of Unicode 3.2, and ASCII.
func plainHan(s string) bool {
	for _, r := range s {
		if (r < 0x4E00 || r > 0x9FA5) && (r >= utf8.RuneSelf || ascii[r]&inLocal == 0) {
			return false
		}
	}
	return true
}

func domainprep(s string) (string, error) {
	s = strings.TrimSuffix(s, ".") // the root's dot is no part of the address (RFC 6122 section 2.2)
	plain, onlyASCII := scan(s, inDomain)
	switch {
	case plain:
		return s, labels(s)
	case onlyASCII:
		if ok, _ := scan(s, inDomain|upper); ok {
			return strings.ToLower(s), labels(s)
		}
		return "", errNotDomain
	}
	out, err := prepare(nameprepProfile, s)
	if err != nil {
		return "", err
	}
	for _, r := range out { // what normalisation made of full-width characters
		if r < utf8.RuneSelf && ascii[r]&inDomain == 0 {
			return "", errNotDomain
		}
	}
	return out, labels(out)
}

var errNotDomain = errors.New("not a domain")

// labels refuses a domain with an empty label.
func labels(s string) error {
	if strings.HasPrefix(s, ".") || strings.HasSuffix(s, ".") || strings.Contains(s, "..") {
		return errNotDomain
	}
	return fits(s)
}

func resourceprep(s string) (string, error) {
	if plain, _ := scan(s, inResource); plain {
		return s, fits(s)
	}
	return prepare(resourceprepProfile, s)
}

func fits(s string) error {
	switch {
	case s == "":
		return errEmptyPart
	case len(s) > maxPart:
		return errLongPart
	}
	return nil
}

// prepare runs a profile. The input is bounded first: normalisation may lengthen it, and costs time.
func prepare(p *profile, s string) (string, error) {
	if err := fits(s); err != nil {
		return "", err
	}
	if !utf8.ValidString(s) {
		return "", errNotUTF8
	}
	out, err := p.run(s)
	if err != nil {
		return "", err
	}
	return out, fits(out)
}
