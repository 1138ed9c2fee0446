package stanza

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// TestEveryCodePoint holds our preparation of each code point, alone and inside a name, against an independent one: Python's
// tables of RFC 3454 and its Unicode 3.2 (testdata/nodeprep.py).
func TestEveryCodePoint(t *testing.T) {
	file, err := os.Open("testdata/nodeprep.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	next := rune(0)
	check := func(r rune, alone, inside string) {
		checkPrepared(t, "", string(r), "", alone)
		checkPrepared(t, "a", string(r), "b", inside)
	}
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		first, last, _ := strings.Cut(fields[0], "-")
		for ; next < hexRune(t, first); next++ {
			check(next, "=", "=")
		}
		for ; next <= hexRune(t, last); next++ {
			if 0xD800 <= next && next < 0xE000 {
				continue // no text holds half a pair
			}
			check(next, fields[1], fields[len(fields)-1])
		}
	}
	for ; next <= utf8.MaxRune; next++ {
		check(next, "=", "=")
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}

// checkPrepared compares one local part with what it is to become.
func checkPrepared(t *testing.T, before, middle, after, want string) {
	t.Helper()
	in := before + middle + after
	r, _ := utf8.DecodeRuneInString(middle)
	refused := want == "!" || want == "-" && before == "" || corrected(r) // what servers disagree about is nobody's id
	switch {
	case refused:
	case want == "=":
		want = in
	case want == "-":
		want = before + after
	default:
		list, whole := strings.CutPrefix(want, "?")
		var b strings.Builder
		for _, digits := range strings.Split(list, ",") {
			b.WriteRune(hexRune(t, digits))
		}
		if want = b.String(); !whole {
			want = before + want + after
		}
	}
	got, err := nodeprep(in)
	switch {
	case refused && err == nil:
		t.Errorf("%+q is taken as %+q, want it refused", in, got)
	case refused:
	case err != nil:
		t.Errorf("%+q is refused: %v; want %+q", in, err, want)
	case got != want:
		t.Errorf("%+q becomes %+q, want %+q", in, got, want)
	default:
		checkStable(t, in, got)
	}
}

// checkStable: what is prepared stays what it is, as an id, as an address, and as what the server vouches for.
func checkStable(t *testing.T, in, local string) {
	t.Helper()
	if again, err := nodeprep(local); err != nil || again != local {
		t.Errorf("%+q becomes %+q and then %+q, %v, want it unchanged the second time and no error", in, local, again, err)
	}
	if again, err := Localpart(local); err != nil || again != local {
		if !strings.HasPrefix(local, `\20`) {
			t.Errorf("%+q becomes %+q and as an id %+q, %v, want it unchanged and no error", in, local, again, err)
		}
	}
	if j, err := ParsePrepared(local + "@im.test"); err != nil || j.Local != local {
		t.Errorf("%+q becomes %+q and that is %+v, %v from the server, want it unchanged and no error", in, local, j, err)
	}
	if in != local {
		if j, err := ParsePrepared(in + "@im.test"); err == nil {
			t.Errorf("%+q is taken from the server as %+v, want it refused", in, j)
		}
	}
	for _, r := range in {
		if r >= utf8.RuneSelf && norm.NFKC.String(string(r)) != string(r) && local == in {
			t.Errorf("%+q stays as it is, want it changed as Unicode does, or refused", in)
		}
	}
}

func hexRune(t *testing.T, digits string) rune {
	t.Helper()
	n, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	return rune(n)
}

// TestForeignPreparation: names that only one of two preparations makes another account's.
func TestForeignPreparation(t *testing.T) {
	for _, id := range []string{
		"ᴸisi", "lᵢsi", "\U0001F150bc", "ⱼane", "\uA7F2", "\U0001D6A4", "\uFF5F\uFFE3", "\u1E9E", "\u2C60isi", "\U0002F868",
		"\u1100\u0300\u1161", "\u0B47\u0300\u0B3E", // joined by the composition of Unicode 3.2 and not by today's
	} {
		t.Run(id, func(t *testing.T) {
			if local, err := Localpart(id); err == nil {
				t.Errorf("the id %+q is %+q, want an error", id, local)
			}
			if j, err := ParseJID(id + "@im.test"); err == nil {
				t.Errorf("the address %+q is %+v, want an error", id, j)
			}
		})
	}
	for _, from := range []string{
		"Lisi@im.test", "ｌisi@im.test", "li\u00ADsi@im.test", "straße@im.test", "e\u0301@im.test", "lisi@im.test/ｗeb", "lisi@ｉm.test", "lisi@im.test/x\u00AD", "@im.test", "lisi@im.test/",
	} {
		t.Run(from, func(t *testing.T) {
			if j, err := ParsePrepared(from); err == nil {
				t.Errorf("the server's %+q is taken as %+v, want it refused", from, j)
			}
		})
	}
	for _, from := range []string{
		"lisi@im.test/Web[1]", "李四@im.test/手机 1", "𠀀@im.test", "élodie@im.test/é", "søren@im.test", "иван@im.test", "ñandú@im.test/a@b/c", "שלום@im.test", "김철수@im.test", "たなか@im.test",
		`zhang\20san@im.test`, "im.test", "im.test/x", "lisi@IM.Test/x", "lisi@bücher.test", "a@im.test/😀", "a@im.test/\U0001F150", // which Unicode 3.2 does not know, and leaves alone
	} {
		t.Run(from, func(t *testing.T) {
			j, err := ParsePrepared(from)
			if err != nil || !strings.EqualFold(j.String(), from) {
				t.Errorf("the server's %q is %+v, %v, want the same address and no error", from, j, err)
			}
		})
	}
}
