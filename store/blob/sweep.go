package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

// Swept counts what a sweep removed.
type Swept struct {
	Orphans int // whole files that the database does not know: a kill between the bytes and the row
	Broken  int // uploads that were cut by a kill
}

// ErrForeign says that the files look like those of another database: nothing was removed.
var ErrForeign = errors.New("too many files without a row")

const (
	// Kills leave few orphans, an hour without the database or a clean-up without the store some hundreds. More than sweepFew and
	// than one of sweepShare of all files is another database, or a folder or bucket that two share.
	sweepFew   = 1000
	sweepShare = 20
	// maxSwept bounds what one sweep removes; the rest is for the next.
	maxSwept = 10_000
)

// Sweep removes what was put before t and which known denies: known is asked with a few hundred ids at a time and says
// which of them have a row. t must lie further back than any upload takes, because the row comes after the bytes; a day is
// usual. An error of known ends the sweep: nothing is removed on a guess. Nor is it when known denies all files, or far more
// than kills leave: that is ErrForeign.
func Sweep(ctx context.Context, b Blobs, t time.Time, known func(context.Context, []string) (map[string]bool, error)) (Swept, error) {
	var swept Swept
	broken, err := b.clear(ctx, t)
	swept.Broken = broken
	if err != nil {
		return swept, fmt.Errorf("sweep broken uploads: %w", err)
	}
	orphans, err := findOrphans(ctx, b, t, known)
	if err != nil {
		return swept, fmt.Errorf("look for files without a row: %w", err)
	}
	for _, id := range orphans {
		if err := b.Remove(ctx, id); err != nil {
			return swept, fmt.Errorf("remove a file without a row: %w", err)
		}
		swept.Orphans++
	}
	return swept, nil
}

func findOrphans(ctx context.Context, b Blobs, t time.Time, known func(context.Context, []string) (map[string]bool, error)) ([]string, error) {
	var orphans []string
	denied, all := 0, 0
	err := b.list(ctx, t, func(ids []string) error {
		if ids = slices.DeleteFunc(ids, IsMarker); len(ids) == 0 {
			return nil
		}
		have, err := known(ctx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if all++; have[id] {
				continue
			}
			if denied++; denied <= maxSwept {
				orphans = append(orphans, id)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if denied > 0 && (denied == all || denied > max(sweepFew, all/sweepShare)) {
		return nil, fmt.Errorf("%w: %d of %d", ErrForeign, denied, all)
	}
	return orphans, nil
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
