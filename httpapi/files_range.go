package httpapi

import (
	"net/textproto"
	"strconv"
	"strings"
)

// byteRanges is a Range field as [http.ServeContent] reads it as RFC 9110, 14.1.2 and 14.2, mean it, for a file of so many
// bytes: the ranges that the file has; "" when the field is to be ignored; one behind the end of the file, which is HTTP 416,
// when the file has none of them or the field cannot be read. net/http itself answers bytes=-0 with a range of no bytes, takes
// another unit for an error, the unit's letters as they come, and knows no numbers of more than 63 bits.
func byteRanges(field string, size int64) string {
	unit, set, ok := strings.Cut(field, "=")
	if !ok || lower(textproto.TrimString(unit)) != "bytes" || size == 0 { // of nothing everybody gets the whole
		return ""
	}
	unsatisfied := "bytes=" + strconv.FormatInt(size, 10) + "-"
	var out []string
	some := false
	for spec := range strings.SplitSeq(set, ",") {
		spec = textproto.TrimString(spec)
		if spec == "" { // a list may have empty elements
			continue
		}
		some = true
		first, last, ok := strings.Cut(spec, "-")
		if !ok || first+last == "" || !digits(first) || !digits(last) {
			return unsatisfied
		}
		from, to := position(first), position(last)
		switch {
		case first == "" && to == 0: // the last no bytes
		case first == "":
			out = append(out, "-"+strconv.FormatInt(min(to, size), 10))
		case last != "" && from > to:
			return unsatisfied
		case from >= size:
		case last == "":
			out = append(out, strconv.FormatInt(from, 10)+"-")
		default:
			out = append(out, strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(to, 10))
		}
	}
	switch {
	case !some:
		return ""
	case out == nil:
		return unsatisfied
	}
	return "bytes=" + strings.Join(out, ",")
}

func digits(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// position is a number of digits; what is too large for a file is the largest there is.
func position(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && s != "" {
		return 1<<63 - 1
	}
	return n
}
