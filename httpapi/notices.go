package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/store"
)

const (
	remindPause  = time.Minute     // between two reminders of one notice
	remindTime   = 5 * time.Minute // for one; it goes on when its caller has left
	remindedWhat = "notices/remind"
)

// listNotices says which notices were pushed, and how far they are.
func (a *API) listNotices(ctx context.Context, r *request) (any, error) {
	after, limit := r.text("after", maxID), r.limit()
	if r.err != nil {
		return nil, r.err
	}
	list, next, err := a.svc.Notices(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(list))
	for i, n := range list {
		ids[i] = n.CallID
	}
	reminded, err := a.admin.LastAudit(ctx, remindedWhat, ids)
	if err != nil {
		return nil, err
	}
	type row struct {
		ID        string `json:"call_id"`
		Caller    string `json:"caller,omitempty"`
		Delivered int    `json:"delivered"`
		Type      string `json:"msg_type"`
		Open      bool   `json:"open"`
		Pushed    int    `json:"pushed"`
		Read      int    `json:"read"`
		Receivers int    `json:"receivers"`
		Reminded  int64  `json:"reminded,omitempty"`
		Stored    int    `json:"stored"`
		Time      int64  `json:"time"`
		Title     string `json:"title,omitempty"`
	}
	rows := make([]row, 0, len(list))
	for _, n := range list {
		rows = append(rows, row{n.CallID, n.Caller, n.Delivered, n.Type, n.Open, n.Pushed, n.Read, n.Receivers, reminded[n.CallID], n.Stored, n.Made.UnixMilli(), n.Title})
	}
	return object{"next": next, "notices": rows}, nil
}

// remindNotice wakes the phones of those who have not read a notice, by another push.
func (a *API) remindNotice(ctx context.Context, r *request) (any, error) {
	id := r.text("call_id", maxID)
	if r.err == nil && id == "" {
		r.refuse(badRequest(textMissing, "call_id"))
	}
	if r.err != nil {
		return nil, r.err
	}
	e := a.event(r, r.path, id, "")
	n, found, err := a.svc.Notice(ctx, id)
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, a.refused(ctx, e, refusal(resultFail, textNoSuchCall, id))
	}

	// 1. One at a time, and one a minute. The log remembers it over a restart.
	tooSoon := func(wait time.Duration) error {
		return a.refused(ctx, e, &failure{status: http.StatusTooManyRequests, result: protocol.TryLater, text: textRemindedLately, retry: max(time.Second, wait.Round(time.Second))})
	}
	if _, underWay := a.reminding.LoadOrStore(id, true); underWay {
		return nil, tooSoon(remindPause)
	}
	defer a.reminding.Delete(id)
	e.Outcome = store.AuditBegun
	before, err := a.admin.AddAuditOnce(ctx, e, e.Time-remindPause.Milliseconds()+1)
	switch {
	case err != nil:
		return nil, err
	case before != 0:
		return nil, tooSoon(remindPause - time.Duration(e.Time-before)*time.Millisecond)
	}

	// 2. The pushes. A caller who leaves does not cut the receivers in two.
	working, cancel := context.WithTimeout(context.WithoutCancel(ctx), remindTime)
	defer cancel()
	done, err := a.svc.Remind(working, n)
	outcome, detail := store.AuditDone, fmt.Sprintf("reminded %d, read %d, recent %d, unreachable %d", done.Pushed, done.Read, done.Recent, done.Unreachable)
	switch {
	case errors.Is(err, component.ErrNoPushes):
		outcome, err = store.AuditRefused, refusal(resultFail, textNoPushes)
	case err != nil:
		outcome = store.AuditFailed
	case done.Removed > 0 && done == component.Reminded{Removed: done.Removed}:
		outcome, err = store.AuditRefused, refusal(resultFail, textNoticeGone, id)
	}
	if err != nil {
		detail += "; " + err.Error()
	}
	noted, cancelNote := context.WithTimeout(context.WithoutCancel(ctx), keyTime)
	defer cancelNote()
	if auditErr := a.admin.EndAudit(noted, e.ID, outcome, detail); auditErr != nil {
		a.log.Warn("the audit log does not say how a reminder ended", "call_id", id, "error", auditErr)
	}
	if err != nil {
		return nil, err
	}
	return object{"dropped": done.Dropped, "read": done.Read, "recent": done.Recent, "reminded": done.Pushed, "removed": done.Removed, "unreachable": done.Unreachable}, nil
}
