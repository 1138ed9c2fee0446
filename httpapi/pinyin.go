package httpapi

import (
	"sort"
	"strings"

	"golang.org/x/text/encoding/simplifiedchinese"
)

// initialsFrom are the letters with which the pinyin of the characters of GB 2312's first level begins, each from this code on:
// its 3,755 characters, nearly all that names are made of, stand in the order of their pinyin. No pinyin begins with i, u or v.
var initialsFrom = []struct {
	code   uint16
	letter byte
}{
	{0xB0A1, 'a'}, {0xB0C5, 'b'}, {0xB2C1, 'c'}, {0xB4EE, 'd'}, {0xB6EA, 'e'}, {0xB7A2, 'f'}, {0xB8C1, 'g'}, {0xB9FE, 'h'}, {0xBBF7, 'j'}, {0xBFA6, 'k'}, {0xC0AC, 'l'}, {0xC2E8, 'm'},
	{0xC4C3, 'n'}, {0xC5B6, 'o'}, {0xC5BE, 'p'}, {0xC6DA, 'q'}, {0xC8BB, 'r'}, {0xC8F6, 's'}, {0xCBFA, 't'}, {0xCDDA, 'w'}, {0xCEF4, 'x'}, {0xD1B9, 'y'}, {0xD4D1, 'z'},
}

// lastInitial is the last code of that level.
const lastInitial = 0xD7F9

// initials are the first letters of a name's pinyin, beside the ASCII letters and digits in it; "." stands for a character whose
// pinyin is not known here. A character with several readings has that of GB 2312.
func initials(name string) string {
	var out strings.Builder
	for _, r := range lower(name) {
		switch {
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			out.WriteRune(r)
		case r < 0x80: // blanks and signs
		default:
			out.WriteByte(initial(r))
		}
	}
	return out.String()
}

func initial(r rune) byte {
	code, err := simplifiedchinese.GBK.NewEncoder().String(string(r))
	if err != nil || len(code) != 2 {
		return '.'
	}
	value := uint16(code[0])<<8 | uint16(code[1])
	if value < initialsFrom[0].code || value > lastInitial || code[1] < 0xA1 { // what GBK added stands among them
		return '.'
	}
	behind := sort.Search(len(initialsFrom), func(i int) bool { return initialsFrom[i].code > value })
	return initialsFrom[behind-1].letter
}
