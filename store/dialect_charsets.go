package store

import (
	"context"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// The character sets of columns of SQL Server and Oracle, which store something else for what a set lacks and do not say so. Each dialect has
// its own names for them; people read MySQL's.
var (
	cpGBK      = charset{name: "gbk", lacks: lacksSome, chinese: true, encoding: simplifiedchinese.GBK, double: true}
	cpGB18030  = charset{name: "gb18030", chinese: true, encoding: simplifiedchinese.GB18030}
	cpBig5     = charset{name: "big5", lacks: lacksSome, encoding: traditionalchinese.Big5, double: true}
	cpJapanese = charset{name: "cp932", lacks: lacksMost, encoding: japanese.ShiftJIS, double: true}
	cpKorean   = charset{name: "euckr", lacks: lacksMost, encoding: korean.EUCKR, double: true}
	cpWestern  = lackingChinese("latin1", charmap.Windows1252)
	cp1250     = lackingChinese("cp1250", charmap.Windows1250)
	cp1251     = lackingChinese("cp1251", charmap.Windows1251)
	cp1253     = lackingChinese("cp1253", charmap.Windows1253)
	cp1254     = lackingChinese("cp1254", charmap.Windows1254)
	cp1255     = lackingChinese("cp1255", charmap.Windows1255)
	cp1256     = lackingChinese("cp1256", charmap.Windows1256)
	cp1257     = lackingChinese("cp1257", charmap.Windows1257)
	cp1258     = lackingChinese("cp1258", charmap.Windows1258)
	cp874      = lackingChinese("cp874", charmap.Windows874)
	cp437      = lackingChinese("cp437", charmap.CodePage437)
	cp850      = lackingChinese("cp850", charmap.CodePage850)
)

// lackingChinese is a character set of one byte a character. Its encoding is nil where nobody knows it.
func lackingChinese(name string, e encoding.Encoding) charset {
	return charset{name: name, lacks: lacksChinese, encoding: e}
}

// heldByEncoding asks nobody: the server would answer with characters that look alike.
func heldByEncoding(_ context.Context, _ querier, set charset, value string) (string, error) {
	if set.lacks == lacksPlanes {
		return withoutBeyond(value, lastOfPlane), nil
	}
	if set.encoding == nil { // one that nobody knows has what all have
		return strings.Map(func(r rune) rune {
			if r > 0x7f {
				return '?'
			}
			return r
		}, value), nil
	}
	encoder := set.encoding.NewEncoder()
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
func encodedLength(set charset, value string) int {
	n := 0
	for _, r := range value {
		n++
		if r > 0x7f && set.double {
			n++
		}
	}
	return n
}
