package pause

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestFor(t *testing.T) {
	for _, c := range []struct {
		name           string
		d, limit, took time.Duration
		want           error
	}{
		{"the time passes", time.Minute, time.Hour, time.Minute, nil},
		{"the context ends first", time.Hour, time.Minute, time.Minute, context.DeadlineExceeded},
		{"no time", 0, time.Minute, 0, nil},
		{"less than none", -time.Second, time.Minute, 0, nil},
		{"no time in a context that has ended", 0, 0, 0, context.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), c.limit)
				defer cancel()
				begin := time.Now()
				if err := For(ctx, c.d); !errors.Is(err, c.want) || time.Since(begin) != c.took {
					t.Errorf("got %v after %s, want %v after %s", err, time.Since(begin), c.want, c.took)
				}
			})
		})
	}
}
