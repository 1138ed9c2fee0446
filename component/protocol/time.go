package protocol

import "strconv"

// FormatTime is the decimal text that tables and wire hold.
func FormatTime(t int64) string { return strconv.FormatInt(t, 10) }

// TimeOrZero reads it; 0 for what is not a number, as old rows may hold.
func TimeOrZero(text string) int64 {
	t, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return t
}
