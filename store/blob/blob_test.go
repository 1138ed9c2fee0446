package blob_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	mrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"tlim/store/blob"
)

var ctx = context.Background()

// place is a store of one kind, and what only a test may do to it.
type place struct {
	blob.Blobs
	left  func() []string              // names of everything in it, broken uploads included
	add   func(name string, n int)     // a foreign or broken file
	begin func(id string, part []byte) // an upload that was killed after its first part
}

func folder(t testing.TB) place {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "deep", "files")
	f, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	add := func(name string, n int) {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return place{Blobs: f, add: add,
		left: func() (names []string) {
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err == nil && !d.IsDir() {
					name, _ := filepath.Rel(dir, path)
					names = append(names, filepath.ToSlash(name))
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return names
		},
		begin: func(id string, part []byte) { add("incoming/"+id, len(part)) },
	}
}

// s3 is a new bucket on the server that TLIM_TEST_S3 names (http://key:secret@host:port, see scripts/s3). A handler of wrap
// stands between it and the store.
func s3(t testing.TB, wrap func(http.Handler) http.Handler) place {
	t.Helper()
	text := os.Getenv("TLIM_TEST_S3")
	if text == "" {
		if slices.Contains(strings.Split(os.Getenv("REQUIRE_DB"), ","), "s3") {
			t.Fatal("REQUIRE_DB wants s3, but TLIM_TEST_S3 is not set")
		}
		t.Skip("no S3 server: TLIM_TEST_S3 is not set (scripts/s3 start prints it)")
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := u.User.Password()
	cfg := blob.BucketConfig{Endpoint: "http://" + u.Host, Bucket: "tlim-test-" + blob.NewID(), AccessKey: u.User.Username(), SecretKey: secret, Region: "us-east-1"}
	raw, err := minio.NewCore(u.Host, &minio.Options{Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Region: cfg.Region})
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.MakeBucket(ctx, cfg.Bucket, minio.MakeBucketOptions{Region: cfg.Region}); err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		// The name of the host is signed: the server gets the one that the store asked for.
		proxy := &httputil.ReverseProxy{ErrorLog: log.New(io.Discard, "", 0), Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "http", u.Host, r.In.Host
		}}
		server := httptest.NewServer(wrap(proxy))
		t.Cleanup(server.Close)
		cfg.Endpoint = server.URL
	}
	b, err := blob.OpenBucket(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p := place{Blobs: b,
		left: func() (names []string) {
			for o := range raw.Client.ListObjects(ctx, cfg.Bucket, minio.ListObjectsOptions{Recursive: true}) {
				if o.Err != nil {
					t.Fatal(o.Err)
				}
				names = append(names, o.Key)
			}
			for u := range raw.ListIncompleteUploads(ctx, cfg.Bucket, "", true) {
				if u.Err != nil {
					t.Fatal(u.Err)
				}
				names = append(names, "part of "+u.Key)
			}
			return names
		},
		add: func(name string, n int) {
			if _, err := raw.Client.PutObject(ctx, cfg.Bucket, name, bytes.NewReader(make([]byte, n)), int64(n), minio.PutObjectOptions{}); err != nil {
				t.Fatal(err)
			}
		},
		begin: func(id string, part []byte) {
			upload, err := raw.NewMultipartUpload(ctx, cfg.Bucket, "tlim/"+id, minio.PutObjectOptions{})
			if err == nil {
				_, err = raw.PutObjectPart(ctx, cfg.Bucket, "tlim/"+id, upload, 1, bytes.NewReader(part), int64(len(part)), minio.PutObjectPartOptions{})
			}
			if err != nil {
				t.Fatal(err)
			}
		},
	}
	t.Cleanup(func() {
		for _, name := range p.left() {
			if err := raw.Client.RemoveObject(ctx, cfg.Bucket, name, minio.RemoveObjectOptions{}); err != nil {
				t.Error(err)
			}
		}
		if err := raw.RemoveBucket(ctx, cfg.Bucket); err != nil {
			t.Error(err)
		}
	})
	return p
}

func everywhere(t *testing.T, test func(t *testing.T, p place)) {
	t.Run("folder", func(t *testing.T) { test(t, folder(t)) })
	t.Run("s3", func(t *testing.T) { test(t, s3(t, nil)) })
}

// content is n bytes that do not repeat.
func content(n int) []byte {
	b := make([]byte, n)
	mrand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// dribble hands out its bytes as a multipart body does, 4 KiB at a time, and ends in err.
type dribble struct {
	rest []byte
	err  error
}

func (d *dribble) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		return 0, d.err
	}
	n := copy(p[:min(len(p), 4096)], d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

func TestPutAndRead(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		for _, n := range []int{0, 1, 4096, 512<<10 - 1, 512 << 10, 512<<10 + 1, 5 << 20, 12<<20 + 17} {
			t.Run(fmt.Sprintf("%d bytes", n), func(t *testing.T) {
				id, want := blob.NewID(), content(n)
				size, err := p.Put(ctx, id, &dribble{want, io.EOF})
				if err != nil || size != int64(n) {
					t.Fatalf("%d bytes: got %d, %v, want size %d, no error", n, size, err, int64(n))
				}
				file, err := p.Open(ctx, id, size)
				if err != nil {
					t.Fatalf("%d bytes: got %v, want no error", n, err)
				}
				got, err := io.ReadAll(file)
				if err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
					t.Fatalf("%d bytes came back as %d, %v, want the same bytes", n, len(got), err)
				}
				// Anywhere, forwards and backwards.
				for _, at := range []int{n / 2, n - 1, 0, n, n / 3} {
					if at < 0 {
						continue
					}
					if pos, err := file.Seek(int64(at), io.SeekStart); err != nil || pos != int64(at) {
						t.Fatalf("seek %d: got %d, %v, want pos %d, no error", at, pos, err, int64(at))
					}
					part, err := io.ReadAll(io.LimitReader(file, 1000))
					if err != nil || !bytes.Equal(part, want[at:min(n, at+1000)]) {
						t.Fatalf("%d bytes from %d on: %d, %v, want part %v, no error", n, at, len(part), err, want[at:min(n, at+1000)])
					}
				}
				if end, err := file.Seek(0, io.SeekEnd); err != nil || end != size {
					t.Errorf("the end is at %d: %v, want end %d, no error", end, err, size)
				}
				if err := file.Close(); err != nil {
					t.Error(err)
				}
				if _, err := p.Open(ctx, id, size+1); !errors.Is(err, blob.ErrUnavailable) {
					t.Errorf("a file that lost a byte opens: got %v, want %v", err, blob.ErrUnavailable)
				}
				if err := errors.Join(p.Remove(ctx, id), p.Remove(ctx, id)); err != nil {
					t.Errorf("remove, twice: got %v, want no error", err)
				}
				if _, err := p.Open(ctx, id, size); !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("a removed file: got %v, want %v", err, blob.ErrNotFound)
				}
			})
		}
		if err := p.Check(ctx); err != nil {
			t.Error(err)
		}
		if left := p.left(); len(left) != 0 {
			t.Errorf("left behind: got %q, want none", left)
		}
	})
}

// TestBrokenPut: whatever ends an upload, nothing stays; io.ErrUnexpectedEOF, which says that a multipart body broke off,
// above all is no end.
func TestBrokenPut(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		broken := errors.New("the line went dead")
		for _, end := range []error{io.ErrUnexpectedEOF, broken, io.ErrClosedPipe} {
			for _, n := range []int{0, 100, 512 << 10, 600 << 10, 5<<20 + 1, 11 << 20} {
				t.Run(fmt.Sprintf("%v after %d bytes", end, n), func(t *testing.T) {
					id := blob.NewID()
					if _, err := p.Put(ctx, id, &dribble{content(n), end}); !errors.Is(err, end) {
						t.Errorf("%v after %d bytes: got %v, want the first", end, n, err)
					}
					if _, err := p.Open(ctx, id, int64(n)); !errors.Is(err, blob.ErrNotFound) {
						t.Errorf("%v after %d bytes: it can be read: got %v, want %v", end, n, err, blob.ErrNotFound)
					}
				})
			}
		}
		// A context that ends in the middle.
		inside, cancel := context.WithCancel(ctx)
		stop := readerFunc(func(b []byte) (int, error) {
			cancel()
			return len(b), nil
		})
		if _, err := p.Put(inside, blob.NewID(), io.MultiReader(&dribble{content(6 << 20), io.EOF}, io.LimitReader(stop, 64<<20))); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
		}
		if left := p.left(); len(left) != 0 {
			t.Errorf("left behind: got %q, want none", left)
		}
	})
}

type readerFunc func([]byte) (int, error)

func (r readerFunc) Read(p []byte) (int, error) { return r(p) }

func TestHostileIDs(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		good := blob.NewID()
		for _, id := range []string{"", ".", "..", "/etc/passwd", "../../../../etc/passwd", "..%2f..%2fetc%2fpasswd", good[:31], good + "0", strings.ToUpper("abcdef" + good[6:]),
			"../" + good[3:], good[:29] + "/..", good[:31] + "\x00", strings.Repeat("é", 16), "C:\\Windows\\win.ini", "incoming", "file:///etc/passwd", "http://127.0.0.1/"} {
			t.Run(fmt.Sprintf("%.60q", id), func(t *testing.T) {
				if blob.Valid(id) {
					t.Errorf("%q is valid, want not", id)
				}
				if _, err := p.Put(ctx, id, strings.NewReader("x")); !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("put %q: got %v, want %v", id, err, blob.ErrNotFound)
				}
				if _, err := p.Open(ctx, id, 1); !errors.Is(err, blob.ErrNotFound) {
					t.Errorf("open %q: got %v, want %v", id, err, blob.ErrNotFound)
				}
				if err := p.Remove(ctx, id); err != nil {
					t.Errorf("remove %q: got %v, want no error", id, err)
				}
			})
		}
		if left := p.left(); len(left) != 0 {
			t.Errorf("written: got %q, want none", left)
		}
	})
	seen := map[string]bool{}
	for range 1000 {
		id := blob.NewID()
		if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 || !blob.Valid(id) || seen[id] {
			t.Fatalf("got id %q, want a new one of 16 bytes", id)
		}
		seen[id] = true
	}
}

// TestLinkLeadsNowhere: a link inside the folder, however it came there, is no way out of it.
func TestLinkLeadsNowhere(t *testing.T) {
	dir := t.TempDir()
	f, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	id := blob.NewID()
	if err := os.Symlink(outside, filepath.Join(dir, id[:2], id)); err != nil {
		t.Fatal(err)
	}
	if file, err := f.Open(ctx, id, 6); err == nil {
		file.Close()
		t.Error("the link was followed, want an error")
	}
}

func TestSweep(t *testing.T) {
	everywhere(t, func(t *testing.T, p place) {
		var kept, orphans []string
		for i := range 40 {
			id := blob.NewID()
			if _, err := p.Put(ctx, id, strings.NewReader("x")); err != nil {
				t.Fatal(err)
			}
			if i%4 == 0 {
				orphans = append(orphans, id)
			} else {
				kept = append(kept, id)
			}
		}
		p.add("foreign.txt", 3)
		p.begin(blob.NewID(), content(5<<20))
		before := p.left()
		known := func(_ context.Context, ids []string) (map[string]bool, error) {
			have := map[string]bool{}
			for _, id := range ids {
				have[id] = slices.Contains(kept, id)
			}
			return have, nil
		}

		// 1. What is young is left alone: its row may be on the way.
		if swept, err := blob.Sweep(ctx, p, time.Now().Add(-time.Hour), known); err != nil || swept != (blob.Swept{}) {
			t.Errorf("young files: got %v, %v, want nothing swept", swept, err)
		}
		// 2. A database that is away makes nobody an orphan.
		away := errors.New("away")
		if swept, err := blob.Sweep(ctx, p, time.Now().Add(-time.Hour), func(context.Context, []string) (map[string]bool, error) { return nil, away }); swept.Orphans != 0 {
			t.Errorf("no database: got %v, %v, want nothing swept", swept, err)
		}
		if left := p.left(); !slices.Equal(left, before) {
			t.Fatalf("left %q, want %q", left, before)
		}
		if swept, err := blob.Sweep(ctx, p, time.Now().Add(time.Hour), func(context.Context, []string) (map[string]bool, error) { return nil, away }); !errors.Is(err, away) || swept.Orphans != 0 || swept.Broken != 1 {
			t.Errorf("no database: %v, %v, want %v, no orphans and one broken", swept, err, away)
		}
		// 3. The rest.
		if swept, err := blob.Sweep(ctx, p, time.Now().Add(time.Hour), known); err != nil || swept != (blob.Swept{Orphans: len(orphans)}) {
			t.Errorf("got %v, %v, want %d orphans", swept, err, len(orphans))
		}
		left := p.left()
		if len(left) != len(kept)+1 || !slices.Contains(left, "foreign.txt") {
			t.Errorf("%d files are left, %d kept and a foreign one: %q, want %d, left with foreign.txt", len(left), len(kept), left, len(kept)+1)
		}
		for _, id := range kept {
			if _, err := p.Open(ctx, id, 1); err != nil {
				t.Error(err)
			}
			if err := p.Remove(ctx, id); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestSweepOfAnotherDatabase: who starts on the wrong database, or shares a folder, loses no file.
func TestSweepOfAnotherDatabase(t *testing.T) {
	for name, c := range map[string]struct{ known, unknown, removed int }{
		"an empty database":   {0, 3, 0},
		"another one's":       {0, 1500, 0},
		"a shared folder":     {150, 1001, 0},
		"a night of failures": {150, 1000, 1000},
	} {
		t.Run(name, func(t *testing.T) {
			p := folder(t)
			rows := map[string]bool{}
			for i := range c.known + c.unknown {
				id := blob.NewID()
				p.add(id[:2]+"/"+id, 1)
				if i < c.known {
					rows[id] = true
				}
			}
			swept, err := blob.Sweep(ctx, p, time.Now().Add(time.Hour), func(context.Context, []string) (map[string]bool, error) { return rows, nil })
			if errors.Is(err, blob.ErrForeign) != (c.removed == 0) || swept.Orphans != c.removed {
				t.Errorf("got %v, %v, want all orphans or a foreign database", swept, err)
			}
			if left := len(p.left()); left != c.known+c.unknown-c.removed {
				t.Errorf("%d files are left, want %d", left, c.known+c.unknown-c.removed)
			}
		})
	}
}

// TestStoreTrouble: a store that fails or breaks off is ErrUnavailable, and a read goes on where a connection broke.
func TestStoreTrouble(t *testing.T) {
	var mode atomic.Value
	mode.Store("")
	p := s3(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch m := mode.Load(); {
			case m == "forbidden":
				w.WriteHeader(http.StatusForbidden)
			case m == "cut" && r.Method == http.MethodGet:
				next.ServeHTTP(&cutting{ResponseWriter: w, left: 100 << 10}, r)
			case m == "dead" && r.Method == http.MethodGet:
				next.ServeHTTP(&cutting{ResponseWriter: w, left: 0}, r)
			default:
				next.ServeHTTP(w, r)
			}
		})
	})
	id, want := blob.NewID(), content(1<<20)
	if _, err := p.Put(ctx, id, bytes.NewReader(want)); err != nil {
		t.Fatal(err)
	}
	mode.Store("cut")
	file, err := p.Open(ctx, id, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("over connections that break every 100 KiB: got %d bytes, %v, want the %d that were put", len(got), err, len(want))
	}
	mode.Store("dead")
	if _, err := file.Seek(5, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, file); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("over connections that give nothing: %d bytes, %v, want %v", n, err, blob.ErrUnavailable)
	}
	mode.Store("forbidden")
	if _, err := p.Open(ctx, id, 1<<20); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("open: got %v, want %v", err, blob.ErrUnavailable)
	}
	if _, err := p.Put(ctx, blob.NewID(), strings.NewReader("x")); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("put: got %v, want %v", err, blob.ErrUnavailable)
	}
	if err := p.Check(ctx); !errors.Is(err, blob.ErrUnavailable) {
		t.Errorf("check: got %v, want %v", err, blob.ErrUnavailable)
	}
}

// cutting breaks its connection off after some bytes.
type cutting struct {
	http.ResponseWriter
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	if len(p) > c.left {
		c.ResponseWriter.Write(p[:c.left])
		c.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

func TestBucketConfig(t *testing.T) {
	for endpoint, good := range map[string]bool{"s3.example.com": true, "https://s3.example.com/": true, "http://127.0.0.1:9000": true,
		"": false, "ftp://x": false, "http://": false, "http://host/path": false, "http://user:pass@host": false, "http://host?x=1": false, "http://ho st": false} {
		t.Run(fmt.Sprintf("%q", endpoint), func(t *testing.T) {
			if _, err := blob.OpenBucket(blob.BucketConfig{Endpoint: endpoint, Bucket: "b", AccessKey: "a", SecretKey: "s"}); (err == nil) != good {
				t.Errorf("got %v, want %v", err, good)
			}
		})
	}
}

// TestPutMemory: twenty Puts at once cost their buffers.
func TestPutMemory(t *testing.T) {
	for name, test := range map[string]struct {
		open    func(testing.TB) place
		maxHeap uint64 // bytes
	}{"folder": {folder, 32 << 20}, "s3": {func(t testing.TB) place { return s3(t, nil) }, 320 << 20}} { // 20 parts of 5 MiB with their first pieces, and as much until the collector has run; 1,280 MiB pass through
		t.Run(name, func(t *testing.T) {
			p := test.open(t)
			block := content(1 << 20)
			runtime.GC() // what the tests before have left; the second round empties the pools of buffers
			runtime.GC()
			var highest, puts atomic.Uint64
			var group sync.WaitGroup
			for range 20 {
				group.Go(func() {
					n := 0
					endless := readerFunc(func(b []byte) (int, error) {
						read := copy(b, block)
						if n += read; n >= 4<<20 {
							n = 0
							var m runtime.MemStats
							runtime.ReadMemStats(&m)
							for old := highest.Load(); m.HeapInuse > old && !highest.CompareAndSwap(old, m.HeapInuse); old = highest.Load() {
							}
						}
						return read, nil
					})
					id := blob.NewID()
					size, err := p.Put(ctx, id, io.LimitReader(endless, 64<<20))
					if err != nil || size != 64<<20 {
						t.Errorf("got %d, %v, want size %d, no error", size, err, 64<<20)
					}
					puts.Add(1)
					if err := p.Remove(ctx, id); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			t.Logf("20 Puts of 64 MiB at once: a heap of %d MiB at most", highest.Load()>>20)
			if puts.Load() != 20 || highest.Load() == 0 || highest.Load() > test.maxHeap {
				t.Errorf("the heap had %d MiB, want at most %d", highest.Load()>>20, test.maxHeap>>20)
			}
		})
	}
}

func BenchmarkPut(b *testing.B) {
	for name, open := range map[string]func(testing.TB) place{"folder": folder, "s3": func(t testing.TB) place { return s3(t, nil) }} {
		b.Run(name, func(b *testing.B) {
			p := open(b)
			block := make([]byte, 64<<20)
			rand.Read(block)
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				id := blob.NewID()
				if _, err := p.Put(ctx, id, bytes.NewReader(block)); err != nil {
					b.Fatal(err)
				}
				if err := p.Remove(ctx, id); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
