package blob

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// Sample lists some ids of a folder, n at most, and changes nothing in it.
func Sample(dir string, n int) (ids []string, err error) {
	for _, shard := range shards() {
		if len(ids) == n {
			break
		}
		entries, err := os.ReadDir(filepath.Join(dir, shard))
		if errors.Is(err, os.ErrNotExist) {
			continue // it is made at the next start
		}
		if err != nil {
			return ids, err
		}
		for _, e := range entries {
			if Valid(e.Name()) && len(ids) < n {
				ids = append(ids, e.Name())
			}
		}
	}
	return ids, nil
}

// errSampled ends a listing.
var errSampled = errors.New("enough was listed")

// Sample lists some ids of a bucket, n at most, and changes nothing in it.
func (b *Bucket) Sample(ctx context.Context, n int) (ids []string, err error) {
	err = b.list(ctx, time.Now(), func(page []string) error {
		ids = append(ids, page[:min(n-len(ids), len(page))]...)
		if len(ids) == n {
			return errSampled
		}
		return nil
	})
	if errors.Is(err, errSampled) {
		err = nil
	}
	return ids, err
}
