package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"tlim/component/protocol"
)

const (
	// roomStep is after how many bytes of an upload the disk, and what else its owner has stored meanwhile, are looked at again.
	roomStep = 8 << 20
	// roomAgain is when an upload that found too little free space may be tried again.
	roomAgain = time.Minute
)

// uploads under way are not rows yet: quotas counts them, so that uploads at once cannot pass a quota together. The zero value is
// ready.
type quotas struct {
	mu    sync.Mutex
	under map[string]int64 // bytes by owner; no entry is 0
}

// add counts n more bytes, or fewer, and says how many there are.
func (q *quotas) add(owner string, n int64) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.under == nil {
		q.under = map[string]int64{}
	}
	total := q.under[owner] + n
	if q.under[owner] = total; total == 0 {
		delete(q.under, owner)
	}
	return total
}

// room is what one upload has taken of its owner's quota and of the disk. It is for one goroutine; done ends it.
type room struct {
	a        *API
	owner    string
	limited  bool  // the quota holds for it
	taken    int64 // bytes
	stored   int64 // what the owner's files had when that was last looked at
	unlooked int64 // bytes since then
}

// grow takes n more bytes, of a file that is expected to have so many more behind them.
func (r *room) grow(ctx context.Context, n, expected int64) error {
	first := r.taken == 0
	r.taken += n
	r.unlooked += n
	// What is under way is counted before what is stored: an upload that ends in between counts twice and not never.
	under := int64(0)
	if r.limited {
		under = r.a.quotas.add(r.owner, n)
	}
	if first || r.unlooked >= roomStep {
		r.unlooked = 0
		if err := r.look(ctx, expected); err != nil {
			return err
		}
	}
	if limit := r.a.cfg.Files.Quota; r.limited && r.owner != "" && r.stored+under+expected > limit {
		r.a.metrics.unroomed.WithLabelValues(unroomedByQuota).Inc()
		return &failure{status: http.StatusInsufficientStorage, result: protocol.TooLarge, text: textQuota, args: []any{r.owner, limit}}
	}
	return nil
}

// look asks what is stored and what is free.
func (r *room) look(ctx context.Context, expected int64) error {
	files := &r.a.cfg.Files
	if r.limited {
		stored, err := files.Rows.StoredBytes(ctx, r.owner)
		if err != nil {
			return err
		}
		r.stored = stored
	}
	if files.MinFree <= 0 {
		return nil
	}
	free, err := files.Free()
	if err != nil {
		return fmt.Errorf("%w: free space of the file store: %w", protocol.ErrUnavailable, err)
	}
	full := free-expected < files.MinFree
	r.a.noteRoom(full, free)
	if full {
		r.a.metrics.unroomed.WithLabelValues(unroomedBySpace).Inc()
		return &failure{status: http.StatusInsufficientStorage, result: protocol.TryLater, text: textNoRoom, retry: roomAgain}
	}
	return nil
}

// of names the owner, who may be known only behind the file, and looks whether all of it is within their quota.
func (r *room) of(ctx context.Context, owner string) error {
	if !r.limited || owner == "" {
		return nil
	}
	if owner != r.owner {
		r.a.quotas.add(r.owner, -r.taken)
		r.a.quotas.add(owner, r.taken)
		r.owner = owner
	}
	r.unlooked = roomStep
	return r.grow(ctx, 0, 0)
}

// done is called when the file is a row, or is not to be.
func (r *room) done() {
	if r.limited {
		r.a.quotas.add(r.owner, -r.taken)
	}
}

// noteRoom logs when uploads stop for want of free space, and when they are taken again, once each.
func (a *API) noteRoom(full bool, free int64) {
	if was := a.full.Swap(full); was == full {
		return
	}
	if full {
		a.log.Error("uploads are refused: too little space is free", "free", free, "files.min_free", a.cfg.Files.MinFree,
			"remedy", "remove files (cleanup.files_days), or give the folder more room; messages go on")
		return
	}
	a.log.Info("uploads are taken again", "free", free)
}

// The sentences about room for files.
var (
	textQuota  = text{"用户 %q 的文件已达到配额 %d 字节，请联系管理员清理", "the files of user %q would be more than the quota of %d bytes: old ones have to be removed first"}
	textNoRoom = text{"服务器存储空间不足，暂不能上传文件，请稍后重试", "the server has too little free space for files now, try again later"}
)
