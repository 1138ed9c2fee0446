package httpapi

import (
	"context"
	"strings"

	"tlim/component"
	"tlim/component/protocol"
	"tlim/store"
)

// historyPage is how many messages one read takes, fewer where they are large: a streamed history holds no more than two of
// these in memory.
const historyPage = 1000

// fetch reads one page of a conversation, newest first, and the total of the whole.
type fetch func(ctx context.Context, p store.Page) ([]store.Message, int64, error)

func (a *API) findSessionHistory(ctx context.Context, r *request) (any, error) {
	id, page, text := r.id("session_id", protocol.GroupIDEmpty), r.page(), r.text("text", maxSearch)
	if r.err != nil {
		return nil, r.err
	}
	if err := a.readable(ctx, id); err != nil {
		return nil, err
	}
	if text != "" {
		return a.search(object{"session_id": id}, page, text, func(ctx context.Context, p store.Page, window int) ([]store.Message, store.Place, error) {
			return a.reads.SearchGroup(ctx, id, text, p, window)
		}), nil
	}
	return history(object{"session_id": id}, page, func(ctx context.Context, p store.Page) ([]store.Message, int64, error) {
		return a.reads.GroupHistory(ctx, id, p)
	}), nil
}

// readable says whether a group's messages may be read: while it exists; when it was deleted (its messages stay), but not
// when it was dissolved. ofmessage.session_id of a 1:1 message is its sender: a user's id must not open their messages here.
func (a *API) readable(ctx context.Context, id string) error {
	if _, ok, err := a.reads.Group(ctx, id); ok || err != nil {
		return err
	}
	missing := refusal(protocol.NoSuchGroup, textNoSuchGroup, id)
	purges, err := a.reads.Purges(ctx)
	if err != nil {
		return err
	}
	for _, p := range purges {
		if p.SessionID == id {
			return missing
		}
	}
	newest, _, err := a.reads.GroupHistory(ctx, id, store.Page{Length: 1, NoTotal: true})
	if err != nil {
		return err
	}
	if len(newest) == 0 {
		return missing
	}
	return nil
}

func (a *API) findChatHistory(ctx context.Context, r *request) (any, error) {
	partner, user, page, text := r.user("session_id"), r.user("user_id"), r.page(), r.text("text", maxSearch)
	if r.err != nil {
		return nil, r.err
	}
	fields := object{"session_id": r.first("session_id")}
	if text != "" {
		return a.search(fields, page, text, func(ctx context.Context, p store.Page, window int) ([]store.Message, store.Place, error) {
			return a.reads.SearchChat(ctx, user, partner, text, p, window)
		}), nil
	}
	return history(fields, page, func(ctx context.Context, p store.Page) ([]store.Message, int64, error) {
		return a.reads.ChatHistory(ctx, user, partner, p)
	}), nil
}

func (a *API) findSystemHistory(ctx context.Context, r *request) (any, error) {
	user, page := r.user("msg_to"), r.page()
	kind := r.text("type", maxTime)
	switch kind {
	case "":
		kind = component.NoticeSystem
	case component.NoticeSystem:
	case "MTB":
		kind = ""
	default:
		r.refuse(badRequest(textBadNoticeType))
	}
	if r.err != nil {
		return nil, r.err
	}
	return history(object{}, page, func(ctx context.Context, p store.Page) ([]store.Message, int64, error) {
		return a.reads.NoticeHistory(ctx, user, kind, p)
	}), nil
}

// history streams what page asks for, and fields plus the total.
func history(fields object, page store.Page, read fetch) *stream {
	s := &stream{list: "message_list", rest: func() object { return fields }}
	s.run = func(ctx context.Context, emit func(any) error) error {
		timed := func(ctx context.Context, p store.Page) ([]store.Message, int64, error) {
			ctx, cancel := s.page(ctx, readWeight)
			defer cancel()
			return read(ctx, p)
		}
		total, err := walk(ctx, page, timed, func(m store.Message) error { return emit(messageRow(m)) })
		fields["total"] = total
		return err
	}
	return s
}

// walk reads page in pieces of historyPage and gives each message once, newest first. After the first piece it goes on by
// keyset, which costs the same at any depth. It cuts the pieces where the time changes: legacy rows have duplicate and
// missing msg_ids, which no (time, id) cursor gets past without skipping or repeating. Rows without any time come last and
// are beyond the reach of a keyset: they are fetched by offset.
func walk(ctx context.Context, page store.Page, read fetch, give func(store.Message) error) (int64, error) {
	maxRows, given := historyPage, 0
	piece := func(given int) int { return min(maxRows, page.Length-given) }
	giveAll := func(rows []store.Message) error {
		for _, m := range rows {
			if err := give(m); err != nil {
				return err
			}
		}
		given += len(rows)
		return nil
	}

	// 1. The first piece, where the caller said, and the total.
	p := page
	p.Length = piece(0)
	rows, total, err := read(ctx, p)
	if err != nil {
		return 0, err
	}
	// 2. On by time.
	for len(rows) > 0 {
		last := rows[len(rows)-1]
		if !store.More(rows, p.Length) || given+len(rows) >= page.Length || last.Time == "" {
			if err := giveAll(rows); err != nil {
				return total, err
			}
			break
		}
		maxRows = min(historyPage, max(128, 2*len(rows))) // what is behind the end of a piece of large bodies was read for nothing
		keep := len(rows)
		for keep > 0 && rows[keep-1].Time == last.Time {
			keep--
		}
		p = store.Page{BeforeTime: last.Time, BeforeID: last.MsgID, NoTotal: true} // a whole piece of one time
		if keep > 0 {
			rows = rows[:keep]
			p.BeforeTime, p.BeforeID = rows[keep-1].Time, ""
		}
		if err := giveAll(rows); err != nil {
			return total, err
		}
		p.Length = piece(given)
		if rows, _, err = read(ctx, p); err != nil {
			return total, err
		}
	}
	// 3. What has no time. (More total than given may also mean that something was revoked meanwhile: then nothing comes.)
	for page.BeforeTime == "" && given > 0 && given < page.Length && int64(page.Start)+int64(given) < total {
		if rows, _, err = read(ctx, store.Page{Start: page.Start + given, Length: piece(given), NoTotal: true}); err != nil {
			return total, err
		}
		timeless := rows[:0]
		for _, m := range rows {
			if m.Time == "" {
				timeless = append(timeless, m)
			}
		}
		if len(timeless) == 0 {
			break
		}
		if err := giveAll(timeless); err != nil {
			return total, err
		}
	}
	return total, nil
}

// message is a row of message_list.
type message struct {
	Body       string `json:"body,omitempty"`
	Compress   string `json:"compress,omitempty"`
	DeleteUser string `json:"delete_user,omitempty"`
	Encrypt    string `json:"encrypt,omitempty"`
	ID         string `json:"id_,omitempty"`
	From       string `json:"msg_from,omitempty"`
	MsgID      string `json:"msg_id,omitempty"`
	Status     *int   `json:"msg_status,omitempty"`
	Time       string `json:"msg_time,omitempty"`
	To         string `json:"msg_to,omitempty"`
	Type       string `json:"msg_type,omitempty"`
	SessionID  string `json:"session_id,omitempty"`
}

func messageRow(m store.Message) message {
	row := message{Body: m.Body, ID: m.ID, From: m.From, MsgID: m.MsgID, Time: m.Time, To: m.To, Type: m.Type, SessionID: m.SessionID}
	compress, rest, _ := strings.Cut(m.Flags, ",")
	encrypt, _, _ := strings.Cut(rest, ",")
	if compress != "0" {
		row.Compress = compress
	}
	if encrypt != "0" {
		row.Encrypt = encrypt
	}
	return row
}
