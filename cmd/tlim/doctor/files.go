package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tlim/store/blob"
	"tlim/store/private"
)

// fileChecks are about what lies on disks: uploads, the SQLite file, keys.
func (s *Site) fileChecks() []Check {
	return []Check{
		{ID: "files", Name: "where uploads lie", After: []string{"process"}, Run: s.checkFiles},
		{ID: "files.rows", Name: "whose uploads they are", Needs: []string{"files", "database"}, Run: s.checkFileRows},
		{ID: "files.space", Name: "free space", Run: s.checkSpace},
		{ID: "database.file", Name: "the SQLite file", Needs: []string{"database"}, Run: s.checkDatabaseFile},
		{ID: "http.key_file", Name: "the key file", Run: s.checkKeyFile},
	}
}

func (s *Site) usesBucket() bool { return s.Config.Files.S3.Endpoint.Reveal() != "" }

func (s *Site) checkFiles(ctx context.Context) []Finding {
	if s.usesBucket() {
		bucket, err := s.Config.Files.S3.Open()
		if err == nil {
			_, err = bucket.Sample(ctx, 1)
		}
		if err != nil {
			return failure("check endpoint, bucket and keys of files.s3; the bucket has to be there", "uploads cannot be reached in the bucket %s: %v", s.Config.Files.S3.Bucket, err)
		}
		return ok("the bucket %s can be listed; whether it can be written shows at the start of tlim", s.Config.Files.S3.Bucket)
	}
	dir := string(s.Config.Files.Dir)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		parent := above(dir)
		if err := mayWrite(parent); err != nil {
			return failure("make "+dir+" and give it to the user that tlim runs as (chown)", "files.dir (%s) is not there, and %s cannot be written by this user: %v", dir, parent, err)
		}
		return ok("files.dir (%s) is not there yet: the first start makes it", dir)
	case err != nil:
		return failure("let the user that tlim runs as reach it", "files.dir: %v", err)
	case !info.IsDir():
		return failure("give files.dir a folder of its own", "files.dir (%s) is no folder", dir)
	}
	// A start by the wrong user leaves parts that the right one cannot write.
	for _, part := range []string{dir, filepath.Join(dir, "incoming"), filepath.Join(dir, "00"), filepath.Join(dir, "ff")} {
		inside, err := os.Stat(part)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return failure("chown -R it to the user that tlim runs as", "files.dir: %v", err)
		}
		if owner(inside) != owner(info) {
			return failure(fmt.Sprintf("chown -R %s %s", owner(info), dir), "%s belongs to %s, and %s to %s: some uploads would fail", dir, owner(info), part, owner(inside))
		}
		if err := mayWrite(part); err != nil {
			return failure(fmt.Sprintf("run tlim (and this command) as %s, or chown -R it to the user that they run as", owner(info)), "%s belongs to %s, and this user cannot write there: %v", part, owner(info), err)
		}
	}
	if who, err := private.Strangers(dir); err == nil && who != "" {
		return warning(private.Remedy(dir), "every user of this machine can look into %s (%s)", dir, who)
	}
	return ok("%s belongs to %s, and this user can write there", dir, owner(info))
}

// above is the nearest folder that is there.
func above(dir string) string {
	for {
		parent := filepath.Dir(dir)
		if _, err := os.Stat(parent); err == nil || parent == dir {
			return parent
		}
		dir = parent
	}
}

const (
	maxSampledFiles = 200
	fewFiles        = 10 // of which nothing follows
)

func (s *Site) checkFileRows(ctx context.Context) []Finding {
	var ids []string
	var err error
	if s.usesBucket() {
		bucket, failed := s.Config.Files.S3.Open()
		if err = failed; err == nil {
			ids, err = bucket.Sample(ctx, maxSampledFiles)
		}
	} else {
		ids, err = blob.Sample(string(s.Config.Files.Dir), maxSampledFiles)
	}
	if err != nil {
		return failure("let the user that tlim runs as read all of it", "uploads cannot be listed: %v", err)
	}
	began := time.Now()
	known, told, err := kept(s, &s.db).KnownFiles(ctx, ids)
	switch {
	case err != nil:
		return s.unanswered(err, began)
	case len(ids) == 0:
		return ok("there are none yet")
	case !told || len(ids) >= fewFiles && len(known) < len(ids)/2:
		return failure("is store.dsn the database that belongs to them? One folder or bucket is for one tlim", "of %d uploads that were looked at, %d have no row in this database", len(ids), len(ids)-len(known))
	}
	return ok("of %d uploads that were looked at, %d have their row in this database", len(ids), len(known))
}

func (s *Site) checkSpace(context.Context) []Finding {
	if s.Config.Files.MinFree == 0 {
		return ok("files.min_free is 0: nobody looks at it")
	}
	if s.usesBucket() {
		return ok("uploads lie in a bucket, which is not asked")
	}
	dir := string(s.Config.Files.Dir)
	if _, err := os.Stat(dir); err != nil {
		dir = above(dir)
	}
	free, err := blob.Free(dir)
	if err != nil {
		return skipped("free space of %s: %v", dir, err)
	}
	if least := int64(s.Config.Files.MinFree); free < least {
		return failure("make room on that disk, set cleanup.files_days, or lower files.min_free", "%d MiB are free on the disk of %s, less than files.min_free (%d MiB): uploads are refused", free>>20, dir, least>>20)
	}
	return ok("%d MiB are free on the disk of %s", free>>20, dir)
}

func (s *Site) checkDatabaseFile(context.Context) []Finding {
	file := kept(s, &s.db).File()
	if file == "" {
		return ok("the database is a server's")
	}
	info, err := os.Stat(file)
	if err != nil {
		return failure("let the user that tlim runs as reach it", "store.dsn: %v", err)
	}
	for _, name := range []string{file, filepath.Dir(file)} {
		if err := mayWrite(name); err != nil {
			return failure(fmt.Sprintf("run tlim (and this command) as %s, or chown it", owner(info)), "%s belongs to %s, and this user cannot write %s: %v", file, owner(info), name, err)
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if beside, err := os.Stat(file + suffix); err == nil && owner(beside) != owner(info) {
			return failure(fmt.Sprintf("chown %s %s%s", owner(info), file, suffix), "%s belongs to %s, and %s%s to %s", file, owner(info), filepath.Base(file), suffix, owner(beside))
		}
	}
	if who, err := private.Strangers(file); err == nil && who != "" {
		return warning(private.Remedy(file), "every user of this machine can read %s (%s), which holds everybody's messages", file, who)
	}
	return ok("%s belongs to %s alone", file, owner(info))
}

func (s *Site) checkKeyFile(context.Context) []Finding {
	file := string(s.Config.HTTP.KeyFile)
	if len(s.Config.HTTP.Keys) > 0 {
		return ok("http.keys has the keys")
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if parent := above(file); mayWrite(parent) != nil {
			return failure("set http.key_file to a place that tlim can write, or give it http.keys", "there are no http.keys, and the first start cannot make http.key_file (%s): %s cannot be written by this user", file, parent)
		}
		return ok("the first start makes one: %s", file)
	case err != nil:
		return failure("let the user that tlim runs as reach it", "http.key_file: %v", err)
	}
	if who, err := private.Readers(file); err == nil && who != "" {
		return warning(private.Remedy(file), "others than its owner can read %s (%s), which is an admin key", file, who)
	}
	return ok("%s belongs to %s alone", file, owner(info))
}

// checkPush asks the vendor, without a push to anybody.
func (s *Site) checkPush(ctx context.Context) []Finding {
	p := s.Config.Push
	if !p.JPush.Enabled && p.Webhook.URL.Reveal() == "" {
		return ok("no push is switched on: phones are not woken")
	}
	if !p.JPush.Enabled {
		return skipped("push.webhook is your own: what it answers shows with the first push (tlim_pushes_total)")
	}
	if err := s.PushKey(ctx); err != nil {
		return failure("correct push.jpush.app_key and master_secret, which the vendor's console shows; and let this host reach it", "JPush does not take them: %s", strings.TrimSpace(err.Error()))
	}
	return ok("JPush takes app_key and master_secret")
}
