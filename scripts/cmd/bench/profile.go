package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"tlim/scripts/lab"
)

// profileTime is long enough for some hundred samples of a process that uses a third of a core.
const profileTime = 5 * time.Second

// profiled runs one more round of a mode, which does not count, and keeps tlim's CPU profile of it and the heap after it.
func profiled(ctx context.Context, r *rig, name string, t *lab.Tlim, round func(context.Context, *rig, time.Duration) (Sample, error)) error {
	say("%s: a round with profiles", name)
	both, bothCtx := errgroup.WithContext(ctx)
	both.Go(func() error {
		url := fmt.Sprintf("%s/debug/pprof/profile?seconds=%d", t.MetricsURL, int(profileTime.Seconds()))
		return keep(bothCtx, url, filepath.Join(r.dir, name+".cpu.pprof"))
	})
	both.Go(func() error {
		_, err := round(bothCtx, r, profileTime+500*time.Millisecond)
		return err
	})
	if err := both.Wait(); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	return keep(ctx, t.MetricsURL+"/debug/pprof/heap", filepath.Join(r.dir, name+".heap.pprof"))
}

// keep writes what url answers into a file.
func keep(ctx context.Context, url, path string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: status %d", url, resp.StatusCode)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
	}()
	if _, err = io.Copy(f, resp.Body); err == nil {
		say("profile: %s", path)
	}
	return err
}
