package protocol

import "strconv"

// FormatTime is the decimal text that tables and wire hold.
func FormatTime(t int64) string { return strconv.FormatInt(t, 10) }

// TimeOrZero reads the text of FormatTime. Of what is no number, which old rows may hold, it makes 0.
func TimeOrZero(text string) int64 {
	t, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return t
}
