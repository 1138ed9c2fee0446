package httpapi

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"tlim/store/blob"
)

// noise is a body without end that costs no memory: one random block, again and again. Zeros would flatter disks, and are the
// worst that a search for boundaries can meet.
type noise struct{ at int }

var block = func() []byte {
	b := make([]byte, 1<<20)
	rand.NewChaCha8([32]byte{}).Read(b)
	return b
}()

func (n *noise) Read(p []byte) (int, error) {
	read := copy(p, block[n.at:])
	n.at = (n.at + read) % len(block)
	return read, nil
}

// sendFile uploads size bytes without holding them and returns the file's id.
func sendFile(l *fileLab, content io.Reader, size int64) (string, error) {
	const boundary = "boundary0123456789"
	var head strings.Builder
	w := multipart.NewWriter(&head)
	if err := errors.Join(w.SetBoundary(boundary), w.WriteField("user_id", "zhangsan")); err != nil {
		return "", err
	}
	if _, err := w.CreateFormFile("mFile", "big.bin"); err != nil {
		return "", err
	}
	tail := "\r\n--" + boundary + "--\r\n"
	r, err := http.NewRequest(http.MethodPost, l.url+"/mobileHttpController/uploadForFileId", io.MultiReader(strings.NewReader(head.String()), io.LimitReader(content, size), strings.NewReader(tail)))
	if err != nil {
		return "", err
	}
	r.ContentLength = int64(head.Len()) + size + int64(len(tail))
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("Authorization", "Bearer "+adminKey)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	id, err := io.ReadAll(resp.Body)
	if err == nil && !blob.Valid(string(id)) {
		err = fmt.Errorf("%d %s", resp.StatusCode, id)
	}
	return string(id), err
}

// fetchFile downloads a file and says how long it is.
func fetchFile(l *fileLab, id string) (int64, error) {
	resp, err := http.Get(l.url + "/upload/download?fileId=" + id)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return n, err
}

// TestMemoryStaysFlat: twenty uploads of 100 MiB at once, and their downloads, cost their buffers and not their bytes. Client
// and server share this process, so both are in the figure.
func TestMemoryStaysFlat(t *testing.T) {
	const uploads, size, maxHeap = 20, 100 << 20, 64 << 20
	l := newFileLab(t)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse
	}
	runtime.GC()
	before, highest := heap(), uint64(0)
	var sampling sync.Mutex
	sample := func(r io.Reader) io.Reader { // at every 16 MiB of every stream
		n := 0
		return readerFunc(func(p []byte) (int, error) {
			read, err := r.Read(p)
			if n += read; n >= 16<<20 {
				n = 0
				sampling.Lock()
				highest = max(highest, heap())
				sampling.Unlock()
			}
			return read, err
		})
	}
	var group sync.WaitGroup
	for range uploads {
		group.Go(func() {
			id, err := sendFile(l, sample(&noise{}), size)
			if err != nil {
				t.Error(err)
				return
			}
			sampling.Lock()
			highest = max(highest, heap())
			sampling.Unlock()
			if n, err := fetchFile(l, id); n != size || err != nil {
				t.Errorf("%d bytes came back: %v, want %d, no error", n, err, size)
			}
			if err := l.cfg.Files.Blobs.Remove(t.Context(), id); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	grown := int64(highest) - int64(before)
	t.Logf("%d uploads of %d MiB at once: the heap grew from %.1f to %.1f MiB at most", uploads, size>>20, float64(before)/(1<<20), float64(highest)/(1<<20))
	if highest == 0 || grown > maxHeap {
		t.Errorf("the heap grew by %d MiB, want at most %d", grown>>20, maxHeap>>20)
	}
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

// BenchmarkFiles moves 256 MiB: up, down, and as a plain copy on the same disk, synced, which is what both are measured by.
func BenchmarkFiles(b *testing.B) {
	const size = 256 << 20
	l := newFileLab(b, func(c *Config) { c.Files.MaxSize = size })
	id, err := sendFile(l, &noise{}, size)
	if err != nil {
		b.Fatal(err)
	}
	source := filepath.Join(l.dir, id[:2], id)
	b.Run("copy", func(b *testing.B) {
		b.SetBytes(size)
		target := filepath.Join(b.TempDir(), "copy")
		for b.Loop() {
			if err := plainCopy(target, source); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("up", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			id, err := sendFile(l, &noise{}, size)
			if err == nil {
				err = l.cfg.Files.Blobs.Remove(b.Context(), id)
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("down", func(b *testing.B) {
		b.SetBytes(size)
		for b.Loop() {
			if n, err := fetchFile(l, id); n != size || err != nil {
				b.Fatalf("got %d bytes, %v, want %d", n, err, size)
			}
		}
	})
}

// plainCopy is cp and sync: by pieces through this process, as a server has to.
func plainCopy(target, source string) error {
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(target)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{in}, make([]byte, 512<<10))
	return errors.Join(err, out.Sync(), out.Close())
}
