package store

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzMaskDSN puts passwords that nobody would choose into every form of an address. Whatever they are, neither what is shown nor an error of
// the check by any driver has a part of them.
func FuzzMaskDSN(f *testing.F) {
	for form := range addresses {
		f.Add(uint(form), "a", "")
	}
	for i, p := range passwords {
		lead, trail, _ := strings.Cut(strings.ReplaceAll(p, "%%", "%"), "%s")
		f.Add(uint(i*7), lead, trail)
	}
	f.Fuzz(func(t *testing.T, form uint, lead, trail string) {
		dsn := strings.ReplaceAll(addresses[form%uint(len(addresses))], "PW", lead+marker+trail)
		if shown := MaskDSN(dsn); strings.Contains(shown, marker) {
			t.Errorf("%q is shown as %q, want the password hidden", dsn, shown)
		}
		for _, driver := range []string{"", "sqlite", "mysql", "sqlserver", "oracle", "mysq"} {
			if err := CheckDSN(driver, dsn); strings.Contains(fmt.Sprint(err), marker) {
				t.Errorf("the check of %q by %q says %v, want the password hidden", dsn, driver, err)
			}
		}
	})
}
