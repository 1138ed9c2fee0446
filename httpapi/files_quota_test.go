package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// send uploads so many bytes as a user, and returns the id of the file.
func (f *fileLab) sendAs(t *testing.T, user string, size int) (id string, a answer) {
	t.Helper()
	text, media := body(t, part{"mFile", "a.bin", strings.Repeat("x", size)})
	a = f.do(t, http.MethodPost, "/mobileHttpController/uploadForFileId", "", text, "Content-Type", media, "Authorization", "Bearer "+f.token(t, user))
	return a.body, a
}

// TestQuota: an owner's files together stay within the quota; what is removed is given back; nothing stays of what is refused.
func TestQuota(t *testing.T) {
	const quota = 100_000
	l := newFileLab(t, func(c *Config) { c.Files.Quota = quota })
	first, a := l.sendAs(t, "lisi", 60_000)
	if a.status != 200 {
		t.Fatalf("got %d %s, want 200", a.status, a.body)
	}
	_, a = l.sendAs(t, "lisi", 60_000)
	if v := a.object(t); a.status != http.StatusInsufficientStorage || v["result"] != "error-012" || !strings.Contains(v["result_detail"].(string), "lisi") {
		t.Errorf("over the quota: got %d %s, want 507, error-012, result_detail with lisi", a.status, a.body)
	}
	if got := len(l.left(t)); got != 1 {
		t.Errorf("%d files are left, want 1", got)
	}
	if n := testutil.ToFloat64(l.metrics.unroomed.WithLabelValues("quota")); n != 1 {
		t.Errorf("%v are counted, want 1", n)
	}
	if _, a := l.sendAs(t, "lisi", 39_000); a.status != 200 {
		t.Errorf("what still fits: got %d %s, want 200", a.status, a.body)
	}
	if _, a := l.sendAs(t, "zhangsan", 60_000); a.status != 200 {
		t.Errorf("another user: got %d %s, want 200", a.status, a.body)
	}
	// Keys are not refused, and what they upload counts for its owner.
	if a := l.upload(t, "/mobileHttpController/uploadForFileId", "", part{"user_id", "", "wangwu"}, part{"mFile", "a", strings.Repeat("x", quota+1)}); a.status != 200 {
		t.Errorf("a key: got %d %s, want 200", a.status, a.body)
	}
	if _, a := l.sendAs(t, "wangwu", 1); a.status != http.StatusInsufficientStorage {
		t.Errorf("a user whose quota a key has used: got %d %s, want 507", a.status, a.body)
	}
	// Given back.
	if err := l.store.DeleteFiles(t.Context(), []string{first}); err != nil {
		t.Fatal(err)
	}
	if _, a := l.sendAs(t, "lisi", 60_000); a.status != 200 {
		t.Errorf("after a file was removed: got %d %s, want 200", a.status, a.body)
	}
	if len(l.quotas.under) != 0 {
		t.Errorf("still under way: got %v, want none", l.quotas.under)
	}
}

// TestQuotaOfALateOwner: a caller without credentials may say behind the file whose it is.
func TestQuotaOfALateOwner(t *testing.T) {
	l := newFileLab(t, func(c *Config) { c.Files.Quota, c.AllowAnonymous = 100_000, AnonymousClients })
	up := func() answer {
		t.Helper()
		text, media := body(t, part{"mFile", "a", strings.Repeat("x", 60_000)}, part{"user_id", "", "lisi"})
		return l.do(t, http.MethodPost, "/mobileHttpController/uploadForFileId", "", text, "Content-Type", media)
	}
	if a := up(); a.status != 200 {
		t.Fatalf("got %d %s, want 200", a.status, a.body)
	}
	if a := up(); a.status != http.StatusInsufficientStorage || a.object(t)["result"] != "error-012" {
		t.Errorf("got %d %s, want 507, error-012", a.status, a.body)
	}
	if got := len(l.left(t)); got != 1 || len(l.quotas.under) != 0 {
		t.Errorf("%d files are left, under way %v, want 1, none under way", got, l.quotas.under)
	}
}

// TestQuotaTogether: uploads at once do not pass the quota together.
func TestQuotaTogether(t *testing.T) {
	const quota, size, uploads = 4 << 20, 1_000_000, 12
	l := newFileLab(t, func(c *Config) { c.Files.Quota = quota })
	token := "Bearer " + l.token(t, "lisi")
	text, media := body(t, part{"mFile", "a", strings.Repeat("x", size)})
	var taken atomic.Int64
	var group sync.WaitGroup
	for range uploads {
		group.Go(func() {
			switch a := l.do(t, http.MethodPost, "/mobileHttpController/uploadForFileId", "", text, "Content-Type", media, "Authorization", token); a.status {
			case http.StatusOK:
				taken.Add(1)
			case http.StatusInsufficientStorage, http.StatusTooManyRequests:
			default:
				t.Errorf("got %d %s, want 200, or 507 when the quota is full", a.status, a.body)
			}
		})
	}
	group.Wait()
	stored, err := l.store.StoredBytes(t.Context(), "lisi")
	if err != nil || stored > quota || stored != taken.Load()*size || int(taken.Load()) != len(l.left(t)) {
		t.Errorf("%d bytes are stored, %d uploads were taken, %d files lie there, %v, want at most %d bytes, %d for each upload, a file for each", stored, taken.Load(), len(l.left(t)), err, quota, size)
	}
	if len(l.quotas.under) != 0 {
		t.Errorf("still under way: got %v, want none", l.quotas.under)
	}
}

// TestMinFree: uploads stop before the disk is full, in the middle if need be, and go on when there is room again.
func TestMinFree(t *testing.T) {
	const minFree = 1 << 30
	var free atomic.Int64
	free.Store(minFree + 20<<20)
	var broken atomic.Bool
	l := newFileLab(t, func(c *Config) {
		c.Files.MinFree = minFree
		c.Files.Free = func() (int64, error) {
			if broken.Load() {
				return 0, errors.New("disk on fire")
			}
			return free.Load(), nil
		}
	})
	refused := func(what string, a answer) {
		t.Helper()
		if a.status != http.StatusInsufficientStorage || a.object(t)["result"] != "error-013" || a.header.Get("Retry-After") != "60" {
			t.Errorf("%s: got %d, Retry-After %q, %s, want 507, error-013, Retry-After 60", what, a.status, a.header.Get("Retry-After"), a.body)
		}
		if got := len(l.left(t)); got != 1 {
			t.Errorf("%s: %d files are left, want 1", what, got)
		}
	}
	if _, a := l.sendAs(t, "lisi", 10<<20); a.status != 200 {
		t.Fatalf("got %d %s, want 200", a.status, a.body)
	}
	_, a := l.sendAs(t, "lisi", 21<<20)
	refused("a file larger than what is free", a)
	free.Store(minFree - 1)
	_, a = l.sendAs(t, "lisi", 1)
	refused("a full disk", a)
	refused("a key", l.upload(t, "/mobileHttpController/uploadForFileId", "", uploader, part{"mFile", "a", "x"}))

	// Somebody else fills the disk meanwhile.
	free.Store(minFree + 20<<20)
	reader := readerFunc(func(p []byte) (int, error) {
		free.Add(-int64(len(p)))
		return (&noise{}).Read(p)
	})
	if _, err := sendFile(l, reader, 60<<20); err == nil || !strings.HasPrefix(err.Error(), "507 ") {
		t.Errorf(`a disk that fills up: got %v, want an error, error beginning with "507 "`, err)
	}
	if got := len(l.left(t)); got != 1 {
		t.Errorf("%d files are left, want 1", got)
	}
	free.Store(minFree + 20<<20)
	if id, a := l.sendAs(t, "lisi", 1); a.status != 200 || len(id) != 32 {
		t.Errorf("room again: got %d %s, want 200, an id", a.status, a.body)
	}
	for _, want := range []string{"uploads are refused", "uploads are taken again"} {
		if !strings.Contains(l.log.String(), want) {
			t.Errorf("got log %s, want %q in it", l.log.String(), want)
		}
	}
	broken.Store(true)
	if _, a := l.sendAs(t, "lisi", 1); a.status != 503 {
		t.Errorf("nobody knows what is free: got %d %s, want 503", a.status, a.body)
	}
}

// TestRoomStep: an upload looks again and again, not once.
func TestRoomStep(t *testing.T) {
	looks := 0
	l := newFileLab(t, func(c *Config) {
		c.Files.MinFree = 1
		c.Files.Free = func() (int64, error) { looks++; return 1 << 40, nil }
	})
	begin := time.Now()
	if _, err := sendFile(l, &noise{}, 5*roomStep); err != nil {
		t.Fatal(err)
	}
	if looks < 5 || looks > 7 {
		t.Errorf("%d looks at %d bytes, want at least 5, looks at most 7", looks, 5*roomStep)
	}
	t.Log(fmt.Sprint("took ", time.Since(begin)))
}
