package httpapi

import (
	"fmt"
	"testing"
)

func TestByteRanges(t *testing.T) {
	for field, want := range map[string]string{
		"bytes=0-0":                    "bytes=0-0",
		"bytes=0-":                     "bytes=0-",
		"bytes=-1":                     "bytes=-1",
		"BYTES=-1":                     "bytes=-1",
		"bytes= 0-1 ,\t8-9":            "bytes=0-1,8-9",
		"bytes=,0-1,,":                 "bytes=0-1",
		"bytes=007-08":                 "bytes=7-8",
		"bytes=5-99999999999999999999": "bytes=5-9223372036854775807",
		"bytes=-99999999999999999999":  "bytes=-10",
		"bytes=-0, 0-0":                "bytes=0-0",
		"bytes=10-,0-0":                "bytes=0-0",
		"bytes=-0":                     "416",
		"bytes=-00":                    "416",
		"bytes=10-":                    "416",
		"bytes=10-10":                  "416",
		"bytes=99999999999999999999-":  "416",
		"bytes=5-4":                    "416",
		"bytes=0-0,5-4":                "416",
		"bytes=100000000000000000000-99999999999999999999": "416",
		"bytes=-":     "416",
		"bytes=--1":   "416",
		"bytes=+1-2":  "416",
		"bytes=1-+2":  "416",
		"bytes=1 - 2": "416",
		"bytes=0x1-2": "416",
		"bytes=x":     "416",
		"bytes=1":     "416",
		"bytes=１-２":   "416",
		"bytes=":      "",
		"bytes=,":     "",
		"bytes":       "",
		"lines=1-2":   "",
		"":            "",
	} {
		t.Run(fmt.Sprintf("%q", field), func(t *testing.T) {
			got := byteRanges(field, 10)
			if got == "bytes=10-" {
				got = "416"
			}
			if got != want {
				t.Errorf("%q is %q, want %q", field, got, want)
			}
		})
	}
	for _, field := range []string{"bytes=-0", "bytes=0-", "bytes=-5"} {
		t.Run("of nothing "+field, func(t *testing.T) {
			if got := byteRanges(field, 0); got != "" {
				t.Errorf(`of nothing %q is %q, want ""`, field, got)
			}
		})
	}
}
