package stanza

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/xdg-go/stringprep"
)

// The profiles of stringprep (RFC 3454) that addresses need. Code points that Unicode 3.2 does not know are refused in local
// parts, as the server refuses them, so an id that no account can have is not an address of ours. In domains and resources,
// which come from the server alone, they pass.
var (
	nodeprepProfile = stringprep.Profile{ // RFC 3920 appendix A
		Mappings:  []stringprep.Mapping{stringprep.TableB1, stringprep.TableB2},
		Normalize: true,
		Prohibits: []stringprep.Set{
			stringprep.TableA1, stringprep.TableC1_1, stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2,
			stringprep.TableC3, stringprep.TableC4, stringprep.TableC5, stringprep.TableC6, stringprep.TableC7,
			stringprep.TableC8, stringprep.TableC9,
			{{'"', '"'}, {'&', '\''}, {'/', '/'}, {':', ':'}, {'<', '<'}, {'>', '>'}, {'@', '@'}},
		},
		CheckBiDi: true,
	}
	nameprepProfile = stringprep.Profile{ // RFC 3491
		Mappings:  []stringprep.Mapping{stringprep.TableB1, stringprep.TableB2},
		Normalize: true,
		Prohibits: []stringprep.Set{
			stringprep.TableC1_2, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4, stringprep.TableC5,
			stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
		},
		CheckBiDi: true,
	}
	resourceprepProfile = stringprep.Profile{ // RFC 3920 appendix B
		Mappings:  []stringprep.Mapping{stringprep.TableB1},
		Normalize: true,
		Prohibits: []stringprep.Set{
			stringprep.TableC1_2, stringprep.TableC2_1, stringprep.TableC2_2, stringprep.TableC3, stringprep.TableC4,
			stringprep.TableC5, stringprep.TableC6, stringprep.TableC7, stringprep.TableC8, stringprep.TableC9,
		},
		CheckBiDi: true,
	}
)

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
	return prepare(&nodeprepProfile, s)
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
	out, err := prepare(&nameprepProfile, s)
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
	return prepare(&resourceprepProfile, s)
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
func prepare(p *stringprep.Profile, s string) (string, error) {
	if err := fits(s); err != nil {
		return "", err
	}
	if !utf8.ValidString(s) {
		return "", errNotUTF8
	}
	out, err := p.Prepare(s)
	if err != nil {
		return "", err
	}
	return out, fits(out)
}
