package main

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"tlim/cmd/tlim/config"
	"tlim/httpapi"
	"tlim/store"
	"tlim/store/blob"
)

// openFiles opens where uploaded files lie, and what closes it again. A folder that cannot be used ends the start; an
// object store may be away for a while, like the XMPP server: it is logged, and uploads answer 503.
func openFiles(ctx context.Context, cfg config.Files, log *slog.Logger) (blob.Blobs, func() error, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if cfg.S3.Endpoint.Reveal() == "" {
		folder, err := blob.OpenFolder(string(cfg.Dir))
		if err != nil {
			return nil, nil, fmt.Errorf("files.dir: %w", err)
		}
		if err := folder.Check(ctx); err != nil {
			folder.Close()
			return nil, nil, fmt.Errorf("files.dir: %w", err)
		}
		return folder, folder.Close, nil
	}
	bucket, err := cfg.S3.Open()
	if err != nil {
		return nil, nil, fmt.Errorf("files.s3.%w", err)
	}
	if err := bucket.Check(ctx); err != nil {
		log.Error("files cannot be stored now", "files.s3.endpoint", cfg.S3.Endpoint, "files.s3.bucket", cfg.S3.Bucket, "error", err)
	}
	return bucket, func() error { return nil }, nil
}

// fileConfig is the part of the API's configuration that is about files.
func fileConfig(cfg config.Config, blobs httpapi.Blobs, db *store.Store, log *slog.Logger) httpapi.Files {
	files := httpapi.Files{Blobs: blobs, Rows: db, Prefixes: cfg.Files.Prefixes, Strict: cfg.Files.Access == config.FileAccessStrict,
		FallbackURL: cfg.Files.FallbackURL.Reveal(), BaseURL: cfg.HTTP.BaseURL.Reveal(), MaxSize: int64(cfg.Files.MaxSize),
		Quota: int64(cfg.Files.Quota)}
	folders := diskFolders(cfg, db.File())
	if cfg.Files.MinFree == 0 || len(folders) == 0 {
		return files
	}
	free := func() (int64, error) { return minFree(folders) }
	if _, err := free(); err != nil {
		log.Warn("free space cannot be looked at, so files.min_free does nothing", "folders", folders, "error", err)
		return files
	}
	files.MinFree, files.Free = int64(cfg.Files.MinFree), free
	return files
}

// diskFolders are the folders whose disks uploads must not fill: where files lie, unless that is an object store, and the
// database, when it is a file. Where they are one disk, messages are stored there as well.
func diskFolders(cfg config.Config, database string) (folders []string) {
	if cfg.Files.S3.Endpoint.Reveal() == "" {
		folders = append(folders, string(cfg.Files.Dir))
	}
	if database != "" {
		folders = append(folders, filepath.Dir(database))
	}
	return folders
}

// minFree is what is free on the fullest of the folders' disks.
func minFree(folders []string) (int64, error) {
	lowest := int64(math.MaxInt64)
	for _, folder := range folders {
		free, err := blob.Free(folder)
		if err != nil {
			return 0, fmt.Errorf("free space of %s: %w", folder, err)
		}
		lowest = min(lowest, free)
	}
	return lowest, nil
}
