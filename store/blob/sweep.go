package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Swept counts what a sweep removed.
type Swept struct {
	Orphans int // whole files that the database does not know: a kill between the bytes and the row
	Broken  int // uploads that were cut by a kill
}

// Sweep removes what was put before t and which known denies: known is asked with a few hundred ids at a time and says
// which of them have a row. t must lie further back than any upload takes, because the row comes after the bytes; a day is
// usual. An error of known ends the sweep: nothing is removed on a guess.
func Sweep(ctx context.Context, b Blobs, t time.Time, known func(context.Context, []string) (map[string]bool, error)) (Swept, error) {
	var swept Swept
	broken, err := b.clear(ctx, t)
	swept.Broken = broken
	if err != nil {
		return swept, fmt.Errorf("sweep broken uploads: %w", err)
	}
	err = b.list(ctx, t, func(ids []string) error {
		if len(ids) == 0 {
			return nil
		}
		have, err := known(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if have[id] {
				continue
			}
			if err := b.Remove(ctx, id); err != nil {
				return err
			}
			swept.Orphans++
		}
		return nil
	})
	if err != nil {
		return swept, fmt.Errorf("sweep files without a row: %w", err)
	}
	return swept, nil
}

// check puts a file, reads it and removes it.
func check(ctx context.Context, b Blobs) (err error) {
	id, content := NewID(), []byte("written by tlim to see whether it can")
	if _, err := b.Put(ctx, id, bytes.NewReader(content)); err != nil {
		return fmt.Errorf("write a file: %w", err)
	}
	defer func() {
		if failed := b.Remove(ctx, id); failed != nil {
			err = errors.Join(err, fmt.Errorf("remove a file: %w", failed))
		}
	}()
	file, err := b.Open(ctx, id, int64(len(content)))
	if err != nil {
		return fmt.Errorf("read a file: %w", err)
	}
	got, err := io.ReadAll(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("read a file: %w", err)
	}
	if !bytes.Equal(got, content) {
		return fmt.Errorf("%w: a file came back with other bytes", ErrUnavailable)
	}
	return nil
}
