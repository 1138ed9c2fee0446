package main

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlim/cmd/tlim/config"
	"tlim/cmd/tlim/standby"
	"tlim/store"
	"tlim/store/blob"
)

// shareOf is a process that stands by, with these files.
func shareOf(t *testing.T, blobs blob.Blobs, process string) *sharedFiles {
	t.Helper()
	cfg := config.Default()
	cfg.XMPP.Domain, cfg.XMPP.Component = "im.test", "tlim.im.test"
	return &sharedFiles{app: New(cfg, slog.New(slog.DiscardHandler)), blobs: blobs, process: process}
}

func folderOf(t *testing.T, dir string) *blob.Folder {
	t.Helper()
	f, err := blob.OpenFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// bucketOf is a bucket whose store answers writes with status and code, and has no object.
func bucketOf(t *testing.T, status int, code string) *blob.Bucket {
	t.Helper()
	return bucketThat(t, status, http.StatusNotFound, code)
}

// bucketThat answers what is written with one status, and what is read with another one.
func bucketThat(t *testing.T, status, read int, code string) *blob.Bucket {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		answer, told := read, read != http.StatusNotFound
		if r.Method == http.MethodPut {
			answer, told = status, true
		}
		w.WriteHeader(answer)
		if told && code != "" {
			_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>no</Message></Error>")
		}
	}))
	t.Cleanup(server.Close)
	b, err := blob.OpenBucket(blob.BucketConfig{Endpoint: server.URL, Bucket: "tlim-test", AccessKey: "a", SecretKey: "s", Region: "us-east-1"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What a standby says of its leader in /readyz: what keeps it from seeing the leader comes before what it saw.
func TestSentenceOfAStandby(t *testing.T) {
	other := roleOther{Role: "leader", Host: "m1", PID: 6, Address: "10.0.0.1:9090", Version: "v1.2.3"}
	alive := other
	alive.Alive = true
	for _, c := range []struct {
		name string
		role roleState
		want string
	}{
		{"nobody was seen", roleState{}, "standby: no leader has told of itself yet"},
		{"one lives", roleState{Other: &alive}, "standby: m1 (process 6, 10.0.0.1:9090, tlim v1.2.3) leads"},
		{"one is silent", roleState{Other: &other}, "standby: m1 (process 6, 10.0.0.1:9090) led, and is silent"},
		{"the name is taken", roleState{Other: &other, Taken: "another one has it"}, "standby: another one has it"},
		{"the database is slow", roleState{Other: &other, Taken: "another one had it", Hindered: "it cannot be looked at"}, "standby: it cannot be looked at"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.role.sentence(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Each difference from the leader is refused in words that name the key; what may pass is asked again.
func TestStandbyFits(t *testing.T) {
	dir := t.TempDir()
	files := folderOf(t, dir)
	leading := shareOf(t, files, "p1")
	marker := leading.mark(t.Context())
	leader := func(change func(*store.Leader)) store.Leader {
		l := store.Leader{Process: "p1", Host: "m1", PID: 7, Address: "m1:9595", Domain: "im.test", Component: "tlim.im.test", Standby: true, Marker: marker}
		change(&l)
		return l
	}
	for _, c := range []struct {
		name   string
		blobs  blob.Blobs
		change func(*store.Leader)
		want   []string // of the refusal; nil: it fits
	}{
		{"the same", files, func(*store.Leader) {}, nil},
		{"another domain", files, func(l *store.Leader) { l.Domain = "other.test" }, []string{"xmpp.domain", "other.test", "im.test", "the same configuration"}},
		{"another component", files, func(l *store.Leader) { l.Component = "chat.im.test" }, []string{"xmpp.component", "chat.im.test", "the same configuration"}},
		{"one that nobody may stand by", files, func(l *store.Leader) { l.Standby = false }, []string{"standby.enabled", "runs without it"}},
		{"other files", folderOf(t, t.TempDir()), func(*store.Leader) {}, []string{"files.dir", "has other files than this one", marker}},
		{"a leader that writes other bytes there", files, func(l *store.Leader) { l.Process = "p9" }, []string{"files.dir", "has other files"}},
		{"a leader that cannot write", files, func(l *store.Leader) { l.Marker = markerDenied }, []string{"files.dir", "cannot write to its files"}},
		{"a leader whose files were away", files, func(l *store.Leader) { l.Marker = "" }, nil},
		{"a standby that cannot write", bucketOf(t, http.StatusForbidden, "AccessDenied"), func(*store.Leader) {}, []string{"this process cannot write to the files", "no"}},
		{"files in S3, which the leader has in a folder", bucketOf(t, http.StatusOK, ""), func(*store.Leader) {}, []string{"has other files than this one", marker}},
		{"files in S3 that it cannot read", bucketThat(t, http.StatusOK, http.StatusForbidden, "AccessDenied"), func(*store.Leader) {}, []string{"this process cannot read what", "both need the same rights"}},
		{"a bucket that is not there", bucketOf(t, http.StatusNotFound, "NoSuchBucket"), func(*store.Leader) {}, []string{"this process cannot write to the files"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := shareOf(t, c.blobs, "p2")
			defer func() { _ = s.unmark(t.Context()) }() // what stays is found at the end
			if strings.HasPrefix(c.name, "a bucket") || strings.HasPrefix(c.name, "a standby") {
				if told := s.mark(t.Context()); told != markerDenied {
					t.Errorf("it tells others %q, want %q", told, markerDenied)
				}
			}
			err := s.fits(t.Context(), leader(c.change))
			var refused *standby.RefusedError
			if c.want == nil {
				if err != nil {
					t.Errorf("got %v, want it to fit", err)
				}
				return
			}
			if !errors.As(err, &refused) {
				t.Fatalf("got %v, want a refusal", err)
			}
			for _, text := range append(c.want, "m1:9595") {
				if !strings.Contains(refused.Text, text) {
					t.Errorf("got %q, want %q in it", refused.Text, text)
				}
			}
		})
	}

	// The other way: the leader reads what the standby wrote.
	other := shareOf(t, files, "p2")
	stands := store.Leader{Process: "p2", Host: "m2", Marker: other.mark(t.Context())}
	if err := leading.sees(t.Context(), stands); err != nil {
		t.Errorf("the standby's marker: got %v, want it read", err)
	}
	if err := shareOf(t, folderOf(t, t.TempDir()), "p1").sees(t.Context(), stands); err == nil || !strings.Contains(err.Error(), "m2") {
		t.Errorf("a leader with other files: got %v, want that it cannot read what m2 writes", err)
	}

	// A store that is away is no refusal, and is asked again.
	away := shareOf(t, bucketOf(t, http.StatusServiceUnavailable, ""), "p2")
	if told := away.mark(t.Context()); told != "" {
		t.Errorf("a store that is away: it tells %q, want nothing", told)
	}
	if err := away.fits(t.Context(), leader(func(*store.Leader) {})); err == nil || errors.As(err, new(*standby.RefusedError)) {
		t.Errorf("a store that is away: got %v, want an error that is no refusal", err)
	}
	away.blobs = files
	if err := away.fits(t.Context(), leader(func(*store.Leader) {})); err != nil || loadString(&away.marker) == "" {
		t.Errorf("a store that is back: got %v, marker %q, want it to fit, and its marker", err, loadString(&away.marker))
	}

	// Nothing stays behind.
	for _, s := range []*sharedFiles{leading, other, away} {
		if err := s.unmark(t.Context()); err != nil {
			t.Error(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "74", "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("got %q left, %v, want no markers", left, err)
	}
}

// Files have one database: whoever comes with another one is refused, and told what to remove.
func TestFilesOfAnotherDatabase(t *testing.T) {
	open := func() *store.Store {
		db, err := store.Open(t.Context(), store.Config{Driver: "sqlite", DSN: filepath.Join(t.TempDir(), "tlim.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		return db
	}
	dir := t.TempDir()
	first, second := open(), open()
	for range 2 { // each start
		if err := shareOf(t, folderOf(t, dir), "p1").claim(t.Context(), first); err != nil {
			t.Fatalf("their own: got %v, want them taken", err)
		}
	}
	var refused *standby.RefusedError
	if err := shareOf(t, folderOf(t, dir), "p2").claim(t.Context(), second); !errors.As(err, &refused) || !strings.Contains(refused.Text, "the same store.dsn") || !strings.Contains(refused.Text, "files.dir") {
		t.Fatalf("another database: got %v, want a refusal that names store.dsn and files.dir", err)
	}
	_, after, _ := strings.Cut(refused.Text, "remove ")
	file, _, _ := strings.Cut(after, " ")
	if err := os.Remove(filepath.Join(dir, filepath.FromSlash(file))); err != nil {
		t.Fatalf("the file of the refusal: got %v, want it there", err)
	}
	if err := shareOf(t, folderOf(t, dir), "p2").claim(t.Context(), second); err != nil {
		t.Errorf("after that: got %v, want them taken", err)
	}
	if err := shareOf(t, bucketOf(t, http.StatusServiceUnavailable, ""), "p2").claim(t.Context(), second); err != nil {
		t.Errorf("a store that is away: got %v, want the start to go on", err)
	}
}
