package bilingual

import (
	"fmt"
	"testing"
)

func TestChinese(t *testing.T) {
	table := New(map[string]string{
		"%s is %d: reads wait (%s)": "%s 为 %s：读要等待（%s）",
		"%s and %s":                 "%s和%s",
		"%s of %s":                  "%[2]s的%[1]s",
		"it is away":                "它已断开",
		"%.0f %% are used":          "已用 %s%%",
		"set it to 1":               "请设为 1",
		"%s left":                   "有人离开",
	})
	for _, c := range []struct{ english, want string }{
		{"it is away", "它已断开"},
		{"it is away.", "it is away."},
		{fmt.Sprintf("%s is %d: reads wait (%s)", "sync", 3, "ALTER x (y)"), "sync 为 3：读要等待（ALTER x (y)）"},
		{fmt.Sprintf("%s is %d: reads wait (%s)", "sync", 3, "set it to 1"), "sync 为 3：读要等待（请设为 1）"}, // a sentence in a sentence
		{"a\nb and c", "a\nb和c"},
		{"a and b and c", "a和b和c"},
		{"the name of lisi", "lisi的the name"},
		{"52 % are used", "已用 52%"},
		{"zhangsan left", "有人离开"},
		{"", ""},
	} {
		t.Run(fmt.Sprintf("%q", c.english), func(t *testing.T) {
			if got := table.Chinese(c.english); got != c.want {
				t.Errorf("%q: got %q, want %q", c.english, got, c.want)
			}
		})
	}
	for english, want := range map[string]bool{"%s and %s": true, "it is away": true, "nobody said so": false} {
		if got := table.Has(english); got != want {
			t.Errorf("Has of %q: got %v, want %v", english, got, want)
		}
	}
}

func TestOrderOfItsOwn(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an English format with an order of its own was taken, want a panic")
		}
	}()
	New(map[string]string{"%[2]s of %[1]s": "x"})
}
