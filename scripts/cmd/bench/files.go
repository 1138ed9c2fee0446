package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	uploadsAtOnce = 20
	// uploadMemory is what the uploads may cost together, MiB: their buffers, not their bytes.
	uploadMemory = 64
	mib          = 1 << 20
)

// files is a tlim that keeps files in a folder, and a file beside it on the same disk.
type files struct {
	caller *caller
	folder string // tlim's
	dir    string // of the source and its copies
	source string
	size   int64
}

// startFiles writes the source, which stays in the page cache: what is compared is the way, not the first read.
func (r *rig) startFiles(ctx context.Context, size int64) (*files, error) {
	site, err := r.startSite(ctx, "tlim-files", map[string]any{"files.max_size": size})
	if err != nil {
		return nil, err
	}
	f := &files{caller: newCaller(site, uploadsAtOnce), folder: filepath.Join(site.Dir, "files"), dir: filepath.Join(r.dir, "copies"), size: size}
	f.source = filepath.Join(f.dir, "source")
	if err := os.MkdirAll(f.dir, 0o755); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	out, err := os.Create(f.source)
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	_, err = io.CopyN(out, rand.NewChaCha8([32]byte{1}), size)
	if err := errors.Join(err, out.Sync(), out.Close()); err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	return f, nil
}

// upload sends size bytes of the source and returns the file's id.
func (f *files) upload(ctx context.Context, size int64) (id string, err error) {
	in, err := os.Open(f.source)
	if err != nil {
		return "", err
	}
	defer in.Close()
	head, tail, kind, err := multipartFrame()
	if err != nil {
		return "", err
	}
	body := io.MultiReader(strings.NewReader(head), io.LimitReader(in, size), strings.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.caller.site.URL+"/mobileHttpController/uploadForFileId", body)
	if err != nil {
		return "", err
	}
	req.ContentLength = int64(len(head)) + size + int64(len(tail))
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "Bearer "+f.caller.site.Key)
	resp, err := f.caller.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && !fileID.Match(answer) {
		err = fmt.Errorf("upload: status %d: %s", resp.StatusCode, answer)
	}
	return string(answer), err
}

var fileID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// multipartFrame is what stands before and behind the file's bytes in the body of an upload, and the body's type.
func multipartFrame() (head, tail, kind string, err error) {
	var b strings.Builder
	w := multipart.NewWriter(&b)
	if err = w.WriteField("user_id", "m00"); err != nil {
		return "", "", "", err
	}
	if _, err = w.CreateFormFile("mFile", "bench.bin"); err != nil {
		return "", "", "", err
	}
	head = b.String()
	err = w.Close()
	return head, b.String()[len(head):], w.FormDataContentType(), err
}

// stored is where tlim keeps a file's bytes.
func (f *files) stored(id string) string { return filepath.Join(f.folder, id[:2], id) }

// download writes a file of tlim's into a new one.
func (f *files) download(ctx context.Context, id, target string) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.caller.site.URL+"/upload/download?fileId="+id, nil)
	if err != nil {
		return err
	}
	resp, err := f.caller.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("download: status %d", resp.StatusCode)
	}
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, resp.Body, make([]byte, mib))
	if err == nil && n != f.size {
		err = fmt.Errorf("download: %d bytes of %d", n, f.size)
	}
	return errors.Join(err, out.Close())
}

// run runs a command of the system.
func run(ctx context.Context, name string, args ...string) error {
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

// turns are the ways in pairs that do the same: an answered upload is synced, file and folder, a downloaded file is not.
func (f *files) turns(id string) []turn {
	target := filepath.Join(f.dir, "copy")
	way := func(name string, pid int, move func(context.Context) error) turn {
		t := turn{series: &Series{Part: "files", Mode: name, Unit: "MiB/s"}}
		t.round = func(ctx context.Context, r *rig, _ time.Duration) (sample Sample, err error) {
			if sample, err = f.round(ctx, r, pid, move); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
			return sample, err
		}
		return t
	}
	pid, size := f.caller.site.PID(), amount(f.size/mib)+" MiB"
	return []turn{
		way("cp of "+size+", and sync of file and folder", 0, func(ctx context.Context) error {
			return errors.Join(run(ctx, "cp", f.source, target), run(ctx, "sync", target, f.dir))
		}),
		way("tlim, upload of "+size, pid, func(ctx context.Context) error {
			_, err := f.upload(ctx, f.size)
			return err
		}),
		way("cp of "+size, 0, func(ctx context.Context) error { return run(ctx, "cp", f.source, target) }),
		way("tlim, download of "+size+" into a file", pid, func(ctx context.Context) error { return f.download(ctx, id, target) }),
	}
}

// round moves the file once. What the ones before have left to be written to the disk is written first, and what this one
// leaves is removed.
func (f *files) round(ctx context.Context, r *rig, pid int, move func(context.Context) error) (sample Sample, err error) {
	if err := writeBack(); err != nil {
		return sample, err
	}
	kept, err := f.keep()
	if err != nil {
		return sample, err
	}
	meter, err := startMeter(pid, r.server.PID)
	if err != nil {
		return sample, err
	}
	start := time.Now()
	if err := move(ctx); err != nil {
		return sample, err
	}
	sample.Count, sample.Seconds = int(f.size/mib), time.Since(start).Seconds()
	sample.Value = float64(sample.Count) / sample.Seconds
	return sample, errors.Join(meter.stop(&sample), f.discard(kept))
}

// keep lists what is there: copies, and what tlim has.
func (f *files) keep() (map[string]bool, error) {
	copies, err := filepath.Glob(filepath.Join(f.dir, "*"))
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	stored, err := filepath.Glob(filepath.Join(f.folder, "??", "*"))
	if err != nil {
		return nil, fmt.Errorf("files: %w", err)
	}
	kept := map[string]bool{}
	for _, name := range append(copies, stored...) {
		kept[name] = true
	}
	return kept, nil
}

// discard removes what was not there before, each of which has to be as long as the source.
func (f *files) discard(kept map[string]bool) error {
	now, err := f.keep()
	if err != nil {
		return err
	}
	var errs []error
	made := 0
	for name := range now {
		if kept[name] {
			continue
		}
		made++
		info, err := os.Stat(name)
		if err == nil && info.Size() != f.size {
			err = fmt.Errorf("%s has %d bytes of %d", name, info.Size(), f.size)
		}
		errs = append(errs, err, os.Remove(name))
	}
	if made != 1 {
		errs = append(errs, fmt.Errorf("%d files instead of one", made))
	}
	return errors.Join(errs...)
}

// many lets uploads run at once and returns the memory of tlim meanwhile, MiB; the first value is from before.
func (f *files) many(ctx context.Context, size int64) (resident []float64, err error) {
	watch := watchMemory(f.caller.site.PID(), watchEvery)
	defer func() {
		var watchErr error
		resident, watchErr = watch.stop()
		err = errors.Join(err, watchErr)
	}()
	uploads, uploadsCtx := errgroup.WithContext(ctx)
	for range uploadsAtOnce {
		uploads.Go(func() error {
			id, err := f.upload(uploadsCtx, size)
			if err != nil {
				return err
			}
			return os.Remove(f.stored(id))
		})
	}
	return nil, uploads.Wait()
}

func measureFiles(ctx context.Context, r *rig, p plan, report *report) error {
	f, err := r.startFiles(ctx, p.fileBytes)
	if err != nil {
		return err
	}
	say("files: %d uploads at once", uploadsAtOnce)
	resident, err := f.many(ctx, p.uploadBytes)
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	id, err := f.upload(ctx, f.size)
	if err != nil {
		return fmt.Errorf("files: %w", err)
	}
	if err := run(ctx, "cmp", f.source, f.stored(id)); err != nil {
		return fmt.Errorf("files: an upload: %w", err)
	}
	turns := f.turns(id)
	if err := rotate(ctx, r, p, warmUpsHTTP, turns); err != nil {
		return err
	}
	for i, t := range turns {
		report.add(t.series, turns[i/2*2].series)
	}
	memory := report.memory("files", fmt.Sprintf("memory over %d uploads of %.0f MiB at once", uploadsAtOnce, float64(p.uploadBytes)/mib), resident)
	report.goal(memory, atMost(fmt.Sprintf("%d MiB more than before", uploadMemory), memory.Samples[0].Value-resident[0], uploadMemory))
	if p.profile {
		if err := profiled(ctx, r, "files-up", f.caller.site, turns[1].round); err != nil {
			return err
		}
		if err := profiled(ctx, r, "files-down", f.caller.site, turns[3].round); err != nil {
			return err
		}
	}
	return f.caller.site.Stop()
}
