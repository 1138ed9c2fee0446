package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"time"

	"tlim/store/private"
)

// Folder keeps files below one folder: the bytes of id abcd… in ab/abcd…, spread over 256 folders because a directory of a
// million entries is slow to list. It goes through an os.Root: no link inside can lead out.
type Folder struct {
	root    *os.Root
	buffers sync.Pool
}

// incoming is where a Put writes until it is whole.
const incoming = "incoming"

// OpenFolder opens dir and makes it when it is missing, with rights for the owner only. Close it after use.
func OpenFolder(dir string) (*Folder, error) {
	_, there := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("folder of files: %w", err)
	}
	if there != nil { // an older one's rights are an administrator's
		if err := private.Restrict(dir); err != nil {
			return nil, fmt.Errorf("folder of files: %w", err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("folder of files: %w", err)
	}
	f := &Folder{root: root, buffers: sync.Pool{New: func() any { return new([copyBuffer]byte) }}}
	if err := f.prepare(); err != nil {
		return nil, errors.Join(fmt.Errorf("folder of files: %w", err), root.Close())
	}
	return f, nil
}

// prepare makes all folders at once and for good: a folder made together with its first file would have to be synced by
// everybody who finds it there.
func (f *Folder) prepare() error {
	made := false
	for _, name := range append(shards(), incoming) {
		switch err := f.root.Mkdir(name, 0o700); {
		case err == nil:
			made = true
		case !errors.Is(err, fs.ErrExist):
			return err
		}
	}
	if made {
		return f.syncDir(".")
	}
	return nil
}

func shards() []string {
	names := make([]string, 256)
	for i := range names {
		names[i] = fmt.Sprintf("%02x", i)
	}
	return names
}

// place is where the bytes of a valid id are.
func place(id string) string { return path.Join(id[:2], id) }

// Close gives the folder back; Puts and readers under way fail or end.
func (f *Folder) Close() error { return f.root.Close() }

// Put writes beside, syncs, renames, syncs the folder: at no moment is there half a file under its name.
func (f *Folder) Put(ctx context.Context, id string, r io.Reader) (int64, error) {
	if !Valid(id) {
		return 0, fmt.Errorf("%w: %.40q is no id", ErrNotFound, id)
	}
	src := &source{r: r}
	temp := path.Join(incoming, id)
	if err := f.write(ctx, temp, src); err != nil {
		return 0, errors.Join(src.failed(err), f.discard(temp))
	}
	err := f.root.Rename(temp, place(id))
	if err != nil {
		return 0, errors.Join(src.failed(err), f.discard(temp))
	}
	if err := f.syncDir(id[:2]); err != nil {
		return 0, errors.Join(src.failed(err), f.discard(place(id)))
	}
	return src.n, nil
}

// write fills a new file with all that src has, and syncs it.
func (f *Folder) write(ctx context.Context, name string, src *source) (err error) {
	file, err := f.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	buf := f.buffers.Get().(*[copyBuffer]byte)
	defer f.buffers.Put(buf)
	for {
		// A multipart body comes in pieces of 4 KiB: collected here, they are one write. Not io.ReadFull, which says of a
		// short end what the reader says of a body that broke off.
		n, end := 0, error(nil)
		for n < len(buf) && end == nil {
			var more int
			more, end = src.Read(buf[n:])
			n += more
		}
		if end != nil && end != io.EOF {
			return end
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := file.Write(buf[:n]); err != nil {
			return err
		}
		if end == io.EOF {
			return file.Sync()
		}
	}
}

// discard removes what a failed Put left; it cannot, when the disk is gone, and then Sweep will.
func (f *Folder) discard(name string) error {
	if err := f.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove what is left: %w", err)
	}
	return nil
}

func (f *Folder) syncDir(name string) error {
	dir, err := f.root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(dir), dir.Close())
}

// Open returns the file itself, an *os.File, so that a server may hand it to the kernel. It must have size bytes.
func (f *Folder) Open(_ context.Context, id string, size int64) (io.ReadSeekCloser, error) {
	if !Valid(id) {
		return nil, fmt.Errorf("%w: %.40q is no id", ErrNotFound, id)
	}
	file, err := f.root.Open(place(id))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() != size) {
		err = fmt.Errorf("%s is %s of %d bytes, not a file of %d", id, info.Mode().Type(), info.Size(), size)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrUnavailable, err), file.Close())
	}
	return file, nil
}

// Remove removes the file of an id.
func (f *Folder) Remove(_ context.Context, id string) error {
	if !Valid(id) {
		return nil
	}
	if err := f.root.Remove(place(id)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// Check writes a file, reads it and removes it.
func (f *Folder) Check(ctx context.Context) error {
	return check(ctx, f)
}

func (f *Folder) list(ctx context.Context, before time.Time, page func([]string) error) error {
	for _, shard := range shards() {
		err := f.each(ctx, shard, func(infos []fs.FileInfo) error {
			var ids []string
			for _, info := range infos {
				if id := info.Name(); Valid(id) && id[:2] == shard && info.Mode().IsRegular() && info.ModTime().Before(before) {
					ids = append(ids, id)
				}
			}
			return page(ids)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Folder) clear(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	err := f.each(ctx, incoming, func(infos []fs.FileInfo) error {
		for _, info := range infos {
			// A Put that still runs writes to its file.
			if !Valid(info.Name()) || !info.ModTime().Before(before) {
				continue
			}
			if err := f.discard(path.Join(incoming, info.Name())); err != nil {
				return err
			}
			removed++
		}
		return nil
	})
	return removed, err
}

// listPage is how many entries of a folder are looked at, and asked of the database, at once.
const listPage = 500

// each reads a folder piece by piece.
func (f *Folder) each(ctx context.Context, name string, do func([]fs.FileInfo) error) error {
	dir, err := f.root.Open(name)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer dir.Close()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		infos, err := dir.Readdir(listPage) // skips what vanishes meanwhile
		if len(infos) > 0 {
			if err := do(infos); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}
