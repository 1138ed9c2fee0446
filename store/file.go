package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
)

const (
	fileColumns = `file_id, file_name, media_type, file_size, digest, user_id, ts`
	fileGet     = `SELECT ` + fileColumns + ` FROM tlim_file WHERE file_id == ?`
	fileKnown   = `SELECT file_id FROM tlim_file WHERE file_id == (?*)`
	fileBefore  = `SELECT file_id FROM tlim_file WHERE ts < ? ORDER BY ts`
	fileCount   = `SELECT COUNT(*) FROM tlim_file WHERE ts < ?`
	fileStored  = `SELECT COALESCE(SUM(file_size), 0) FROM tlim_file WHERE user_id == ?`
	fileDelete  = `DELETE FROM tlim_file WHERE file_id == (?*)`

	fileUsePairs  = `SELECT file_id, msg_id FROM tlim_file_use WHERE (file_id == ? AND msg_id == ?)*`
	fileUseDelete = `DELETE FROM tlim_file_use WHERE file_id == (?*)`
	fileUseDrop   = `DELETE FROM tlim_file_use WHERE msg_id == (?*)`
	// Two queries and no join: a legacy ofmessage has another character set, and then no index serves the comparison.
	fileUses     = `SELECT msg_id FROM tlim_file_use WHERE file_id == ?`
	fileMessages = `SELECT id_, msg_id, msg_type, msg_from, msg_to, msg_time, session_id FROM ofmessage WHERE msg_id == (?*)`
)

// File is a row of tlim_file: an uploaded file, whose bytes lie in a folder or an object store under the same id.
type File struct {
	ID     string // 32 hex digits
	Name   string // as it is to be saved, without any path
	Type   string // media type, of a fixed list
	Size   int64  // bytes
	Digest string // SHA-256 of the bytes, in hex
	Owner  string // the canonical id of who uploaded it; "" = not known
	Time   string // when
}

// FileUse says that a message names a file. One given twice is taken once.
type FileUse struct{ FileID, MsgID string }

// AddFile writes the row of a file whose bytes are safe already. ErrDuplicate: the id is taken. After ErrUnavailable the
// row may be there all the same, when only the answer to the COMMIT was lost: the bytes are to stay then, until
// [Store.KnownFiles] denies them.
func (s *Store) AddFile(ctx context.Context, f File) error {
	err := s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		r := s.rowsOf(tFile, 1)
		r.add(f.ID, f.Name, f.Type, f.Size, f.Digest, f.Owner, f.Time)
		return t.insert(ctx, r)
	})
	if err != nil {
		return fmt.Errorf("add file %s: %w", f.ID, err)
	}
	return nil
}

// GetFile reads the row of a file.
func (s *Store) GetFile(ctx context.Context, id string) (File, bool, error) {
	var f File
	found, err := s.one(ctx, fileGet, []any{id}, func(scan scanner) error {
		return scan((*text)(&f.ID), (*text)(&f.Name), (*text)(&f.Type), (*number)(&f.Size), (*text)(&f.Digest), (*text)(&f.Owner), (*text)(&f.Time))
	})
	return f, found, err
}

// KnownFiles says which of these files have a row.
func (s *Store) KnownFiles(ctx context.Context, ids []string) (map[string]bool, error) {
	known := make(map[string]bool, len(ids))
	err := s.in(ctx, fileKnown, nil, ids, nil, func(scan scanner) error {
		var id string
		err := scan((*text)(&id))
		known[id] = true
		return err
	})
	return known, err
}

// StoredBytes is the size of all files of an owner, by canonical id.
func (s *Store) StoredBytes(ctx context.Context, owner string) (bytes int64, err error) {
	_, err = s.one(ctx, fileStored, []any{owner}, func(scan scanner) error { return scan((*number)(&bytes)) })
	return bytes, err
}

// FilesBefore reads the ids of at most limit files that were uploaded before t (epoch milliseconds), oldest first.
func (s *Store) FilesBefore(ctx context.Context, t int64, limit int) ([]string, error) {
	found := []string{}
	err := s.page(ctx, fileBefore, []any{millis(t)}, Page{Length: limit}.length(), 0, func(scan scanner) error {
		found = append(found, "")
		return scan((*text)(&found[len(found)-1]))
	})
	return found, err
}

// CountFilesBefore counts the files that were uploaded before t (epoch milliseconds).
func (s *Store) CountFilesBefore(ctx context.Context, t int64) (n int, err error) {
	_, err = s.one(ctx, fileCount, []any{millis(t)}, func(scan scanner) error { return scan(intColumn{&n}) })
	return n, err
}

// DeleteFiles removes the rows of files, and what is known of their use, in one transaction. Their bytes go afterwards:
// what a crash leaves of them is an orphan. Ids without a row are no error; after ErrUnavailable call it again.
func (s *Store) DeleteFiles(ctx context.Context, ids []string) error {
	err := s.unfenced(ctx, func(ctx context.Context, t *tx) error {
		if err := t.doIn(ctx, fileUseDelete, ids); err != nil {
			return err
		}
		return t.doIn(ctx, fileDelete, ids)
	})
	if err != nil {
		return fmt.Errorf("delete %d files: %w", len(ids), err)
	}
	return nil
}

var fileUseKeys = keys{"msg_id"}

// fileUsePage is how many uses of a file are looked at together.
const fileUsePage = 500

// FileMessages reads the first limit messages that name a file and are still there (one that was revoked or cleaned up opens
// nothing), oldest first, without their bodies.
func (s *Store) FileMessages(ctx context.Context, id string, limit int) ([]Message, error) {
	found := []Message{}
	for after := ""; ; {
		// 1. The next uses.
		var used []string
		err := s.walk(ctx, fileUses, []any{id}, fileUseKeys, []string{after}, fileUsePage, func(scan scanner) error {
			used = append(used, "")
			return scan((*text)(&used[len(used)-1]))
		})
		if err != nil {
			return nil, err
		}
		// 2. Their messages. What a collation takes for equal is another message.
		named := make(map[string]bool, len(used))
		for _, u := range used {
			named[u] = true
		}
		err = s.in(ctx, fileMessages, nil, used, nil, func(scan scanner) error {
			var m Message
			err := scan((*text)(&m.ID), (*text)(&m.MsgID), (*text)(&m.Type), (*text)(&m.From), (*text)(&m.To), (*text)(&m.Time), (*text)(&m.SessionID))
			if err == nil && named[m.MsgID] {
				found = append(found, m)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		// 3. The oldest so far.
		slices.SortFunc(found, func(a, b Message) int { return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.ID, b.ID)) })
		found = found[:min(len(found), limit)]
		if len(used) < fileUsePage {
			return found, nil
		}
		after = used[len(used)-1]
	}
}

// addFileUses inserts what is not there: a message id that was used before must not fail the message of today.
func (t *tx) addFileUses(ctx context.Context, uses []FileUse) error {
	if len(uses) == 0 {
		return nil
	}
	keys := make([]pair, len(uses))
	for i, u := range uses {
		keys[i] = pair{u.FileID, u.MsgID}
	}
	known := make(map[pair]bool, len(uses))
	err := t.readPairs(ctx, fileUsePairs, keys, func(scan scanner) error {
		var p pair
		err := scan((*text)(&p[0]), (*text)(&p[1]))
		known[p] = true
		return err
	})
	if err != nil {
		return err
	}
	r := t.s.rowsOf(tUse, len(uses))
	for _, k := range keys {
		if !known[k] {
			known[k] = true
			r.add(k[0], k[1])
		}
	}
	return t.insertFree(ctx, r)
}
