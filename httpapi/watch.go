package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/tracking"
	"tlim/store"
)

// maxWatchReads is how many reads of a thousand rows one call makes that looks for something in a whole table; where it stopped, its answer
// holds next.
const maxWatchReads = 20

// deviceRow is a device that is there.
type deviceRow struct {
	Class    string `json:"class"`
	Resource string `json:"resource"`
	Show     string `json:"show,omitempty"`
	Since    int64  `json:"since"`
}

func deviceRows(list []tracking.Device) []deviceRow {
	rows := make([]deviceRow, 0, len(list))
	for _, d := range list {
		rows = append(rows, deviceRow{d.Class, d.Resource, d.Show, d.Since.UnixMilli()})
	}
	return rows
}

// userRow is a user as administrators see them.
type userRow struct {
	Login       string      `json:"acct_login,omitempty"`
	Confirms    string      `json:"confirms"`
	LastMessage int64       `json:"last_message,omitempty"`
	Learned     bool        `json:"learned"`
	Left        bool        `json:"left"`
	Online      []deviceRow `json:"online"`
	Robot       bool        `json:"robot,omitempty"`
	ID          string      `json:"user_id"`
	Name        string      `json:"user_name,omitempty"`
}

// ConfirmWords say how a user's phones confirm.
var ConfirmWords = map[store.Confirms]string{store.ConfirmsNot: "nothing", store.ConfirmsByReceipts: "receipts", store.ConfirmsByPings: "pings"}

// listUsers lists users, and who of them is there.
func (a *API) listUsers(ctx context.Context, r *request) (any, error) {
	text, after, limit := r.text("text", maxSearch), r.text("after", maxID), r.limit()
	if r.err != nil {
		return nil, r.err
	}
	users, next, err := UsersWith(ctx, a.watched.EveryUser, text, after, limit)
	if err != nil {
		return nil, err
	}
	rows, known, err := a.userRows(ctx, users)
	if err != nil {
		return nil, err
	}
	return object{"next": next, "presence": known, "users": rows}, nil
}

// UsersWith reads at most limit users in the order of their ids, from behind after, whose name, id or login holds text; next is where it stopped, ""
// at the end. It stops also behind many rows without one.
func UsersWith(ctx context.Context, every func(context.Context, string, int) ([]store.User, error), text, after string, limit int) (users []store.User, next string, err error) {
	what := newSought(text)
	return sift(ctx, after, limit, what.everybody(), every,
		func(u store.User) string { return u.ID }, func(u store.User) bool { return u.ID != reservedUser && what.in(u) })
}

// sift reads a table in the order of its ids from behind after and keeps at most limit rows that are wanted; next is where it stopped, "" at the
// end. all says that nearly every row is wanted.
func sift[T any](ctx context.Context, after string, limit int, all bool, read func(context.Context, string, int) ([]T, error), id func(T) string, wanted func(T) bool) (found []T, next string, err error) {
	page := userPage
	if all {
		page = limit + 1
	}
	for range maxWatchReads {
		rows, err := read(ctx, after, page)
		if err != nil {
			return nil, "", err
		}
		for i, row := range rows {
			if after = id(row); !wanted(row) {
				continue
			}
			if found = append(found, row); len(found) == limit {
				if i == len(rows)-1 && len(rows) < page {
					return found, "", nil
				}
				return found, after, nil
			}
		}
		if len(rows) < page {
			return found, "", nil
		}
	}
	return found, after, nil
}

// userRows adds to users what stands elsewhere; known says whether who has no device is away for sure.
func (a *API) userRows(ctx context.Context, users []store.User) (rows []userRow, known bool, err error) {
	ids := make([]string, len(users))
	for i, u := range users {
		ids[i] = u.ID
	}
	newest, err := a.watched.NewestChats(ctx, ids)
	if err != nil {
		return nil, false, err
	}
	devices, known := a.svc.Devices(ids)
	rows = make([]userRow, 0, len(users))
	for i, u := range users {
		rows = append(rows, userRow{Login: u.Login, Confirms: ConfirmWords[u.Confirms], LastMessage: protocol.TimeOrZero(newest[u.ID]), Learned: u.Learned, Left: u.Left, Robot: u.Robot,
			Online: deviceRows(devices[i]), ID: u.ID, Name: u.Name})
	}
	return rows, known, nil
}

// showUser says all that is known of one user.
func (a *API) showUser(ctx context.Context, r *request) (any, error) {
	id, language := r.user("user_id"), a.language(r)
	if r.err != nil {
		return nil, r.err
	}
	found, err := a.reads.UsersByID(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	u, there := found[id]
	if !there {
		u = store.User{ID: id}
	}
	rows, known, err := a.userRows(ctx, []store.User{u})
	if err != nil {
		return nil, err
	}
	groups, err := a.watched.CountGroups(ctx, id)
	if err != nil {
		return nil, err
	}
	sizes, err := a.watched.QueueSizes(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	local, err := stanza.Localpart(id)
	if err != nil {
		return nil, refusal(protocol.UserIDInvalid, textBadUser, "user_id", id)
	}
	tokens, err := a.admin.TokenState(ctx, local)
	if err != nil {
		return nil, err
	}
	size := sizes[id]
	return object{"known": there, "presence": known, "refused": refusedRows(a.svc.Refusals("", id), language), "user": wholeUser{
		Login: rows[0].Login, Confirms: rows[0].Confirms, Groups: groups, LastMessage: rows[0].LastMessage, Learned: u.Learned, Left: u.Left, Online: rows[0].Online,
		Push:  userPush{Code: masked(u.PushCode), OS: u.PushOS, Registered: u.PushCode != ""},
		Queue: userQueue{Oldest: protocol.TimeOrZero(size.Oldest), Unconfirmed: a.svc.CountWaiting([]string{id})[0], Waiting: size.Rows},
		Robot: u.Robot, TokensEnded: tokens.Generation, Email: u.Email, ID: id, Name: u.Name}}, nil
}

// wholeUser is a user with all that is known of them.
type wholeUser struct {
	Login       string      `json:"acct_login,omitempty"`
	Confirms    string      `json:"confirms"`
	Groups      int         `json:"groups"`
	LastMessage int64       `json:"last_message,omitempty"`
	Learned     bool        `json:"learned"`
	Left        bool        `json:"left"`
	Online      []deviceRow `json:"online"`
	Push        userPush    `json:"push"`
	Queue       userQueue   `json:"queue"`
	Robot       bool        `json:"robot,omitempty"`
	TokensEnded int64       `json:"tokens_ended"`
	Email       string      `json:"user_email,omitempty"`
	ID          string      `json:"user_id"`
	Name        string      `json:"user_name,omitempty"`
}

// userPush is how a user's phone is woken.
type userPush struct {
	Code       string `json:"code,omitempty"`
	OS         string `json:"os,omitempty"`
	Registered bool   `json:"registered"`
}

// userQueue is how much waits for a user's phone.
type userQueue struct {
	Oldest      int64 `json:"oldest,omitempty"`
	Unconfirmed int   `json:"unconfirmed"`
	Waiting     int   `json:"waiting"`
}

// masked shows enough of a registration to tell two apart.
func masked(code string) string {
	const shown = 4
	if len(code) < 3*shown {
		return strings.Repeat("*", len(code))
	}
	return code[:shown] + "…" + code[len(code)-shown:]
}

// groupRow is a group as administrators see it.
type groupRow struct {
	Closed      bool   `json:"closed"`
	Created     int64  `json:"created,omitempty"`
	LastMessage int64  `json:"last_message,omitempty"`
	Members     int    `json:"members"`
	ID          string `json:"session_id"`
	Name        string `json:"session_name,omitempty"`
	Type        int    `json:"session_type"`
	Owner       string `json:"session_user,omitempty"`
}

// listGroups lists groups.
func (a *API) listGroups(ctx context.Context, r *request) (any, error) {
	text, after, limit := r.text("text", maxSearch), r.text("after", maxID), r.limit()
	if r.err != nil {
		return nil, r.err
	}
	groups, next, err := GroupsWith(ctx, a.watched.EveryGroup, text, after, limit)
	if err != nil {
		return nil, err
	}
	rows, err := a.groupRows(ctx, groups)
	if err != nil {
		return nil, err
	}
	return object{"groups": rows, "next": next}, nil
}

// GroupsWith reads at most limit groups in the order of their ids, from behind after, whose name, id or owner holds text; next is as of [UsersWith].
func GroupsWith(ctx context.Context, every func(context.Context, string, int) ([]store.Group, error), text, after string, limit int) (groups []store.Group, next string, err error) {
	what := newSought(text)
	return sift(ctx, after, limit, what.everybody(), every,
		func(g store.Group) string { return g.ID }, func(g store.Group) bool { return what.in(store.User{ID: g.ID, Name: g.Name, Login: g.Owner}) })
}

// groupRows adds to groups how many members they have and when the newest message was.
func (a *API) groupRows(ctx context.Context, groups []store.Group) ([]groupRow, error) {
	ids := make([]string, len(groups))
	for i, g := range groups {
		ids[i] = g.ID
	}
	members, err := a.watched.CountMembers(ctx, ids)
	if err != nil {
		return nil, err
	}
	rows := make([]groupRow, 0, len(groups))
	for _, g := range groups {
		newest, _, err := a.reads.GroupHeads(ctx, g.ID, store.Page{Length: 1, NoTotal: true})
		if err != nil {
			return nil, err
		}
		row := groupRow{Closed: g.Valid == 1, Created: protocol.TimeOrZero(g.CreateTime), Members: members[g.ID], ID: g.ID, Name: g.Name, Type: g.Type, Owner: g.Owner}
		for _, m := range newest {
			row.LastMessage = protocol.TimeOrZero(m.Time)
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// memberRow is a member of a group, and what waits for them.
type memberRow struct {
	Online      []deviceRow `json:"online"`
	Since       int64       `json:"since,omitempty"`
	Unconfirmed int         `json:"unconfirmed"`
	ID          string      `json:"user_id"`
	Name        string      `json:"user_name,omitempty"`
	Waiting     int         `json:"waiting"`
}

// showGroup shows one group and its members, a page at a time.
func (a *API) showGroup(ctx context.Context, r *request) (any, error) {
	id, after, limit := r.id("session_id", protocol.GroupIDEmpty), r.text("after", maxID), r.limit()
	if r.err != nil {
		return nil, r.err
	}
	g, there, err := a.reads.Group(ctx, id)
	if err != nil {
		return nil, err
	}
	if !there {
		return nil, refusal(protocol.NoSuchGroup, textNoSuchGroup, id)
	}
	groups, err := a.groupRows(ctx, []store.Group{g})
	if err != nil {
		return nil, err
	}
	all, err := a.reads.Members(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	members := slices.DeleteFunc(all[id], func(m store.Member) bool { return m.UserID <= after })
	slices.SortFunc(members, func(a, b store.Member) int { return strings.Compare(a.UserID, b.UserID) })
	next := ""
	if len(members) > limit {
		members, next = members[:limit], members[limit-1].UserID
	}
	users := make([]string, len(members))
	for i, m := range members {
		users[i] = m.UserID
	}
	sizes, err := a.watched.QueueSizes(ctx, users)
	if err != nil {
		return nil, err
	}
	devices, known := a.svc.Devices(users)
	unconfirmed := a.svc.CountWaiting(users)
	rows := make([]memberRow, 0, len(members))
	for i, m := range members {
		rows = append(rows, memberRow{Online: deviceRows(devices[i]), Since: protocol.TimeOrZero(m.Since), Unconfirmed: unconfirmed[i], ID: m.UserID, Name: m.UserName,
			Waiting: sizes[m.UserID].Rows})
	}
	return object{"group": groups[0], "members": rows, "next": next, "presence": known}, nil
}

// The states of what waits in a queue.
const (
	queuedRow         = "row"         // an offline message
	queuedUnconfirmed = "unconfirmed" // in memory: sent and not confirmed, or a row that is still to be written
)

// queuedMessage is a message that waits for a user.
type queuedMessage struct {
	From      string `json:"msg_from,omitempty"`
	MsgID     string `json:"msg_id,omitempty"`
	Time      int64  `json:"msg_time,omitempty"`
	Type      string `json:"msg_type,omitempty"`
	SessionID string `json:"session_id,omitempty"`
	State     string `json:"state"`
	Since     int64  `json:"waits_since,omitempty"`
	Web       bool   `json:"web_had_it"`
}

func queuedOf(p *store.OfflineMessage, state string) queuedMessage {
	at := protocol.TimeOrZero(p.Time)
	q := queuedMessage{From: p.From, MsgID: p.MsgID, Time: at, Type: p.Type, SessionID: p.SessionID, State: state, Since: at, Web: p.Status > 0}
	if made := madeAt(p.ID); made > 0 {
		q.Since = made
	}
	return q
}

// queuePlace is where a page of a queue ended: behind a row, and behind what is in memory.
type queuePlace struct {
	Row    store.RowPlace
	Memory [2]string // msg_time and msg_id
}

// showQueue lists what waits for a user's phone, oldest first, and changes nothing.
func (a *API) showQueue(ctx context.Context, r *request) (any, error) {
	user, limit, from := r.user("user_id"), r.limit(), r.moment("at")
	var at queuePlace
	r.cursor("after", &at)
	if r.err != nil {
		return nil, r.err
	}
	earliest := ""
	if from > 0 {
		earliest = fmt.Sprintf("%013d", from)
		if at == (queuePlace{}) {
			at.Row = store.PlaceFrom(from)
		}
	}
	// Memory first: what becomes a row meanwhile is then seen twice instead of not at all.
	memory := slices.DeleteFunc(a.svc.Waiting(user), func(p store.OfflineMessage) bool {
		return p.Time < earliest || slices.Compare([]string{p.Time, p.MsgID}, at.Memory[:]) <= 0 || p.MsgID == at.Row.MsgID && p.Time == at.Row.Time
	})
	slices.SortStableFunc(memory, func(a, b store.OfflineMessage) int {
		return slices.Compare([]string{a.Time, a.MsgID}, []string{b.Time, b.MsgID})
	})
	rows, err := a.watched.QueueHeads(ctx, user, at.Row, limit+1)
	if err != nil {
		return nil, err
	}
	whole := len(rows) <= limit
	list := make([]queuedMessage, 0, limit)
	seen := map[string]bool{}
	for i := range rows {
		seen[rows[i].MsgID] = true
	}
	for len(list) < limit && len(rows)+len(memory) > 0 {
		if len(memory) > 0 && (len(rows) == 0 || memory[0].Time < rows[0].Time) {
			p := memory[0]
			at.Memory, memory = [2]string{p.Time, p.MsgID}, memory[1:]
			if !seen[p.MsgID] {
				list = append(list, queuedOf(&p, queuedUnconfirmed))
			}
			continue
		}
		p := rows[0]
		at.Row, rows = store.RowPlace{Time: p.Time, MsgID: p.MsgID, ID: p.ID}, rows[1:]
		if at.Memory[0] < p.Time { // all that is older in memory is shown, or is a row
			at.Memory = [2]string{p.Time, ""}
		}
		list = append(list, queuedOf(&p, queuedRow))
	}
	next := ""
	if len(rows)+len(memory) > 0 || !whole {
		next = cursorOf(at)
	}
	return object{"next": next, "queue": list}, nil
}

// maxCursor is as long as the place of a page in a queue can become: five texts of 64 characters.
const maxCursor = 4096

// cursor reads where a page ended, as cursorOf wrote it.
func (r *request) cursor(name string, to any) {
	v := r.text(name, maxCursor)
	if v == "" {
		return
	}
	text, err := base64.RawURLEncoding.DecodeString(v)
	if err == nil {
		err = json.Unmarshal(text, to)
	}
	if err != nil {
		r.refuse(badRequest(textBadCursor, name))
	}
}

// cursorOf is where a page ended, as callers send it back.
func cursorOf(place any) string {
	text, err := json.Marshal(place)
	if err != nil { // it is made of texts and numbers
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// pushedRow is a row of the outbox as administrators see it.
type pushedRow struct {
	Channel   string         `json:"channel"`
	Done      bool           `json:"done"`
	Due       int64          `json:"due"`
	Made      int64          `json:"made"`
	MsgID     string         `json:"msg_id,omitempty"`
	Type      string         `json:"msg_type,omitempty"`
	Outcome   string         `json:"outcome"`
	Platforms string         `json:"platforms,omitempty"`
	ID        string         `json:"push_id"`
	Receivers int            `json:"receivers"`
	To        []TracedPushTo `json:"to"`
	Tries     int            `json:"tries"`
}

// maxPushReceivers are named of one row.
const maxPushReceivers = 20

// The states of pushes that can be asked for.
const (
	pushesWaiting = "waiting"
	pushesFailing = "failing" // they wait, and have failed before
	pushesFailed  = "failed"  // they ended without having been sent
)

// pushPlace is where a page of pushes ended.
type pushPlace struct {
	Channel string
	Due     int64
	ID      string
}

// listPushes lists pushes that wait, that fail, or that were given up.
func (a *API) listPushes(ctx context.Context, r *request) (any, error) {
	state, limit := r.first("state"), r.limit()
	if state == "" {
		state = pushesFailing
	}
	if state != pushesWaiting && state != pushesFailing && state != pushesFailed {
		r.refuse(badRequest(textBadPushState, "state"))
	}
	var at pushPlace
	r.cursor("after", &at)
	if r.err != nil {
		return nil, r.err
	}
	channels, err := a.watched.PushChannels(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(channels)
	list, next := []pushedRow{}, ""
	reads := 0
	for _, channel := range channels {
		if channel < at.Channel || next != "" {
			continue
		}
		if channel != at.Channel {
			at = pushPlace{Channel: channel}
		}
		for next == "" {
			from := store.Push{ID: at.ID, Due: at.Due}
			read := a.watched.WaitingPushes
			if state == pushesFailed {
				read = a.watched.EndedPushes
			}
			rows, err := read(ctx, channel, from, pushReadPage)
			if err != nil {
				return nil, err
			}
			reads++
			for i := range rows {
				p := &rows[i]
				if len(list) == limit {
					break
				}
				at.Due, at.ID = p.Due, p.ID
				if one, wanted := pushedOf(p, state); wanted {
					list = append(list, one)
				}
			}
			if len(rows) < pushReadPage && len(list) < limit {
				break
			}
			if len(list) == limit || reads >= maxWatchReads {
				next = cursorOf(at)
			}
		}
	}
	return object{"next": next, "pushes": list}, nil
}

// pushReadPage is how many rows of pushes one read has: a row holds up to a thousand receivers.
const pushReadPage = 100

// pushedOf makes a row of what is shown; false when it is not of that state.
func pushedOf(p *store.Push, state string) (pushedRow, bool) {
	to := pushedTo(p)
	switch state {
	case pushesFailing:
		if p.Tries == 0 {
			return pushedRow{}, false
		}
	case pushesFailed:
		if to = slices.DeleteFunc(to, func(one TracedPushTo) bool { return !failedPush(one.Outcome) }); len(to) == 0 {
			return pushedRow{}, false
		}
	}
	outcome := p.Outcome
	if !p.Done {
		outcome = pushWaits
	}
	row := pushedRow{Channel: p.Channel, Done: p.Done, Due: p.Due, Made: p.Made, MsgID: p.MsgID, Type: p.Type, Outcome: outcome, Platforms: p.Platforms, ID: p.ID,
		Receivers: len(to), To: to[:min(len(to), maxPushReceivers)], Tries: p.Tries}
	return row, true
}

// failedPush says whether an outcome is a failure: neither sent nor left out on purpose.
func failedPush(outcome string) bool {
	return outcome == "refused" || outcome == "expired" || outcome == "dead"
}

// unconfirmedRow is a copy of a message that is not settled.
type unconfirmedRow struct {
	Sent  int64  `json:"sent,omitempty"`
	State string `json:"state"`
	User  string `json:"user_id"`
}

// confirmedRow is how a phone got a message.
type confirmedRow struct {
	At   int64  `json:"at"`
	How  string `json:"how"`
	User string `json:"user_id"`
}

// showTrace says all that is known of one message, and why a user has it or has not.
func (a *API) showTrace(ctx context.Context, r *request) (any, error) {
	id, body := r.id("msg_id", protocol.IDConflict), r.bit("body")
	user, language := "", a.language(r)
	if r.has("user_id") && r.first("user_id") != "" {
		user = r.user("user_id")
	}
	if r.err != nil {
		return nil, r.err
	}
	// Memory before the tables: what settles meanwhile is then seen twice instead of not at all.
	e := evidence{user: user, begun: a.begun, now: a.cfg.Clock(), offline: a.cfg.Offline, language: language, zone: a.cfg.Zone,
		refusals: a.svc.Refusals(id, ""), trouble: a.svc.PushTrouble}
	if user != "" {
		sights, delivered := a.svc.Look(id, []string{user})
		e.sight, e.routed = sights[0], delivered
	}
	var err error
	if e.trace, err = a.watched.Trace(ctx, id, MaxTraceRows+1); err != nil {
		return nil, err
	}
	e.routed = max(e.routed, e.trace.State.Delivered)
	unconfirmed, confirmed, err := a.inMemory(ctx, id, e.trace)
	if err != nil {
		return nil, err
	}
	t := NewTraced(e.trace, body == 1)
	answer := object{"confirmed": confirmed, "cut": t.Cut, "files": t.Files, "known": t.Known() || len(unconfirmed)+len(confirmed)+len(e.refusals) > 0, "messages": t.Messages, "msg_id": id,
		"offline": t.Offline, "pushes": t.Pushes, "receipts": t.Receipts, "refused": refusedRows(e.refusals, language),
		"remembered": t.Remembered, "unconfirmed": unconfirmed}
	if user != "" {
		if err := a.gather(ctx, &e); err != nil {
			return nil, err
		}
		answer["explanation"] = e.explain()
	}
	return answer, nil
}

// inMemory says of whom it concerns where their copies are.
func (a *API) inMemory(ctx context.Context, id string, t store.Trace) (open []unconfirmedRow, confirmed []confirmedRow, err error) {
	var users []string
	var groups []string
	for _, m := range t.Messages {
		if store.FamilyOf(m.Type) == store.FamilyGroup {
			groups = append(groups, m.SessionID)
			continue
		}
		users = append(users, m.From, m.To)
	}
	members, err := a.reads.Members(ctx, groups)
	if err != nil {
		return nil, nil, err
	}
	for _, of := range members {
		for _, m := range of {
			users = append(users, m.UserID)
		}
	}
	slices.Sort(users)
	sights, _ := a.svc.Look(id, slices.Compact(users))
	open, confirmed = []unconfirmedRow{}, []confirmedRow{}
	for _, s := range sights {
		switch {
		case s.Where != "" && len(open) < MaxTraceRows:
			row := unconfirmedRow{State: string(s.Where), User: s.User}
			if !s.Sent.IsZero() {
				row.Sent = s.Sent.UnixMilli()
			}
			open = append(open, row)
		case s.Where == "" && s.Proof != tracking.ProofNone && len(confirmed) < MaxTraceRows:
			confirmed = append(confirmed, confirmedRow{At: s.At.UnixMilli(), How: proofWords[s.Proof], User: s.User})
		}
	}
	return open, confirmed, nil
}

// proofWords say how a phone got a message.
var proofWords = map[tracking.Proof]string{tracking.ProofPings: "pings", tracking.ProofReceipt: "receipt", tracking.ProofFetched: "getOffline"}

// gather reads what an explanation needs beside the trace.
func (a *API) gather(ctx context.Context, e *evidence) error {
	found, err := a.reads.UsersByID(ctx, []string{e.user})
	if err != nil {
		return err
	}
	e.account, e.known = found[e.user]
	devices, listed := a.svc.Devices([]string{e.user})
	e.devices, e.listed = devices[0], listed
	var groups []string
	msgType := ""
	for _, m := range e.trace.Messages {
		if msgType = m.Type; store.FamilyOf(m.Type) == store.FamilyGroup {
			groups = append(groups, m.SessionID)
		}
	}
	for _, p := range e.trace.Offline {
		if msgType == "" {
			msgType = p.Type
		}
	}
	_, e.queued, e.pushed = a.svc.Treatment(msgType)
	if len(groups) == 0 {
		return nil
	}
	members, err := a.reads.Members(ctx, groups)
	if err != nil {
		return err
	}
	formers, err := a.watched.Formers(ctx, groups, 0)
	if err != nil {
		return err
	}
	of := groups[0]
	for _, id := range groups {
		for i := range members[id] {
			if m := &members[id][i]; protocol.SameUser(m.UserID, e.user) {
				e.member, of = m, id
			}
		}
	}
	for i := range formers {
		if f := &formers[i]; f.SessionID == of && protocol.SameUser(f.UserID, e.user) {
			e.former = f
		}
	}
	e.group, e.there, err = a.reads.Group(ctx, of)
	return err
}
