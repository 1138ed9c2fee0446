package store

import (
	"fmt"
	"strings"
)

// chinese begin the names of the character sets that hold what is written in China. What of it each lacks is said by the warnings.
var chinese = []string{"utf8", "gb", "ucs2", "utf16", "utf32"}

// refusals names the legacy tables that refuse Chinese, the one first without which phones that are away get nothing.
func (d *dialect) refusals(have catalogue) (list []string) {
	for _, t := range []struct{ name, what string }{
		{tOffline.name, "every Chinese message to somebody whose phone is away is refused, with error-012"},
		{tMessage.name, "every Chinese message is refused, with error-012"},
	} {
		info := have[t.name]
		if info == nil {
			continue
		}
		if charset := info.columns["body"].charset; charset != "" && !holdsChinese(charset) {
			list = append(list, fmt.Sprintf("%s has the character set %s: %s. In a quiet hour, %s; then restart tlim",
				t.name, charset, t.what, d.convert(t.name)))
		}
	}
	return list
}

func holdsChinese(charset string) bool {
	for _, prefix := range chinese {
		if strings.HasPrefix(charset, prefix) {
			return true
		}
	}
	return false
}
