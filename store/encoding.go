package store

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// encodings are the character sets of columns, by MySQL's names, for engines that store something else for what a set lacks and do not
// say so.
var encodings = map[string]encoding.Encoding{
	"gbk": simplifiedchinese.GBK, "gb18030": simplifiedchinese.GB18030, "big5": traditionalchinese.Big5, "cp932": japanese.ShiftJIS, "euckr": korean.EUCKR,
	"latin1": charmap.Windows1252, "cp1250": charmap.Windows1250, "cp1251": charmap.Windows1251, "cp1253": charmap.Windows1253,
	"cp1254": charmap.Windows1254, "cp1255": charmap.Windows1255, "cp1256": charmap.Windows1256, "cp1257": charmap.Windows1257,
	"cp1258": charmap.Windows1258, "cp874": charmap.Windows874, "cp437": charmap.CodePage437, "cp850": charmap.CodePage850,
}

// heldByEncoding asks nobody: the server would answer with characters that look alike.
func heldByEncoding(_ context.Context, _ querier, charset, value string) (string, error) {
	if slices.Contains(plane, charset) {
		return withoutBeyond(value, lastOfPlane), nil
	}
	set := encodings[charset]
	if set == nil { // one that nobody knows has what all have
		return strings.Map(func(r rune) rune {
			if r > 0x7f {
				return '?'
			}
			return r
		}, value), nil
	}
	encoder := set.NewEncoder()
	var held strings.Builder
	for _, r := range value {
		if _, err := encoder.String(string(r)); err != nil {
			r = '?'
		}
		held.WriteRune(r)
	}
	return held.String(), nil
}

// encodedLength is how many bytes a text takes in a character set of one or two bytes.
func encodedLength(charset, value string) int {
	n := 0
	for _, r := range value {
		n++
		if r > 0x7f && slices.Contains([]string{"gbk", "big5", "cp932", "euckr"}, charset) {
			n++
		}
	}
	return n
}
