package store

import "fmt"

// refusals names the legacy tables that refuse Chinese, the one first without which phones that are away get nothing. What those lack that
// hold it is said by the warnings.
func (d *dialect) refusals(have catalogue) (list []string) {
	for _, t := range []struct{ name, what string }{
		{tOffline.name, "every Chinese message to somebody whose phone is away is refused, with error-012"},
		{tMessage.name, "every Chinese message is refused, with error-012"},
	} {
		info := have[t.name]
		if info == nil {
			continue
		}
		if set := info.columns["body"].charset; set.lacks != lacksNothing && !set.chinese {
			list = append(list, fmt.Sprintf("%s has the character set %s: %s. In a quiet hour, %s; then restart tlim",
				t.name, set.name, t.what, d.convert(t.name)))
		}
	}
	return list
}
