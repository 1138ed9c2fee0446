package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"

	"tlim/store/private"
)

// prepareSQLite sees to it that nobody but the owner reads everybody's messages. A new file is made for its owner alone,
// whatever the umask: SQLite itself makes it readable for all, and gives the files beside it the rights of the first. Of a file
// that is there others lose their rights. Those of a Unix group stay, because it may be meant to make backups, and are named.
func prepareSQLite(cfg Config) (warnings []string, err error) {
	base, err := sqliteURI(cfg.DSN)
	if err != nil {
		return nil, err
	}
	path, err := sqlitePath(base)
	if err != nil {
		return nil, err
	}
	if err := regular(path); err != nil {
		return nil, err
	}
	_, query, _ := strings.Cut(base, "?")
	if cfg.Migrate == MigrateAuto && (!strings.Contains(query, "mode=") || strings.Contains(query, "mode=rwc")) {
		switch f, err := private.Create(path); {
		case err == nil:
			return nil, f.Close()
		case !errors.Is(err, fs.ErrExist):
			var why *fs.PathError
			if errors.As(err, &why) {
				err = why.Err // who opens the store names the file
			}
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return closeOff(path), nil
}

// sqlitePath is the file that a file: URI names.
func sqlitePath(uri string) (path string, err error) {
	path, _, _ = strings.Cut(uri, "?")
	path, _, _ = strings.Cut(path, "#")
	if path, err = url.PathUnescape(strings.TrimPrefix(path, "file:")); err != nil {
		return "", errors.New(`holds a "%" that begins no escape: in a file: URI it is written %25`)
	}
	if rest, authority := strings.CutPrefix(path, "//"); authority {
		path = rest[max(0, strings.IndexByte(rest, '/')):]
	}
	return path, nil
}

// sqliteFile is the file that an address names; "" where it names none.
func sqliteFile(cfg Config) string {
	uri, err := sqliteURI(cfg.DSN)
	if err != nil {
		return ""
	}
	path, _ := sqlitePath(uri) // "" with an error
	return path
}
