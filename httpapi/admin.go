package httpapi

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tlim/component/protocol"
	"tlim/component/stanza"
	"tlim/component/tokens"
	"tlim/store"
)

// The sizes of a page of what administrators list.
const (
	defaultAdminPage = 50
	maxAdminPage     = 200
)

// refusalRate is how many refusals a second of one caller at one endpoint are written into the audit log: one a minute. Who may not
// call shall not fill it.
const refusalRate = 1.0 / 60

// event begins what the audit log says of a change that a call makes.
func (a *API) event(r *request, path, target, detail string) store.AuditEvent {
	e := Event(strings.TrimPrefix(path, adminPrefix), r.caller.name, addressName(clientAddr(r.http, a.cfg.TrustedProxies)), a.cfg.Clock())
	e.Target, e.Detail = target, detail
	return e
}

// refused writes into the audit log that a change was refused, and returns why.
func (a *API) refused(ctx context.Context, e store.AuditEvent, why *failure) error {
	a.auditRefusal(ctx, e, why)
	return why
}

// auditRefusal notes an attempt by somebody who has a key. A refusal stands whether or not that can be written.
func (a *API) auditRefusal(ctx context.Context, e store.AuditEvent, why error) {
	if a.refusals.take(e.Who+"\x00"+e.What, a.cfg.Clock(), 1) > 0 {
		return
	}
	limited, cancel := context.WithTimeout(ctx, keyTime) // the answer waits for it
	defer cancel()
	e.Outcome, e.Detail = store.AuditRefused, strings.TrimPrefix(e.Detail+"; "+why.Error(), "; ")
	if err := a.admin.AddAudit(limited, e); err != nil && ctx.Err() == nil {
		a.log.Warn("a refused call is not in the audit log", "caller", e.Who, "what", e.What, "error", err)
	}
}

// limit is the size of a page.
func (r *request) limit() int {
	v := strings.TrimSpace(r.first("limit"))
	if v == "" {
		return defaultAdminPage
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > maxAdminPage {
		r.refuse(badRequest(textBadLimit, "limit", maxAdminPage))
	}
	return n
}

// revokeTokens ends all tokens of a user.
func (a *API) revokeTokens(ctx context.Context, r *request) (any, error) {
	a.refuseSecret(r, "user_id")
	user := r.user("user_id")
	if r.err != nil {
		return nil, r.err
	}
	local, err := stanza.Localpart(user)
	if err != nil {
		return nil, refusal(protocol.UserIDInvalid, textBadUser, "user_id", user)
	}
	before, err := a.admin.TokenState(ctx, local)
	if err == nil {
		err = a.admin.RevokeTokens(ctx, local, a.event(r, r.path, user, ""))
	}
	if err != nil {
		return nil, err
	}
	return object{"known": before.UserID != "", "user_id": user}, nil
}

// listAudit says what administrators have changed, and tried to.
func (a *API) listAudit(ctx context.Context, r *request) (any, error) {
	after, limit := r.text("after", maxID), r.limit()
	if r.err != nil {
		return nil, r.err
	}
	events, err := a.admin.AuditEvents(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	type row struct {
		Address string `json:"address,omitempty"`
		ID      string `json:"audit_id"`
		Detail  string `json:"detail,omitempty"`
		Outcome string `json:"outcome"`
		Target  string `json:"target,omitempty"`
		Time    int64  `json:"time"`
		What    string `json:"what"`
		Who     string `json:"who,omitempty"`
	}
	rows := make([]row, 0, len(events))
	for _, e := range events {
		rows = append(rows, row{e.Address, e.ID, e.Detail, e.Outcome, e.Target, e.Time, e.What, e.Who})
	}
	next := ""
	if len(rows) == limit {
		next = rows[limit-1].ID
	}
	return object{"events": rows, "next": next}, nil
}

// keyRow is a key as administrators see it.
type keyRow struct {
	CanEnd  bool     `json:"can_end"`
	Ended   int64    `json:"ended,omitempty"`
	EndedBy string   `json:"ended_by,omitempty"`
	InUse   bool     `json:"in_use"`
	Made    int64    `json:"made,omitempty"`
	MadeBy  string   `json:"made_by,omitempty"`
	Name    string   `json:"name"`
	Rate    float64  `json:"rate"`
	Robot   string   `json:"robot_id,omitempty"`
	RobotAs string   `json:"robot_name,omitempty"`
	Scopes  []string `json:"scopes"`
	Source  string   `json:"source"`
	Where   string   `json:"where,omitempty"`
}

// listKeys lists who may call.
func (a *API) listKeys(ctx context.Context, r *request) (any, error) {
	if err := a.LoadKeys(ctx); err != nil {
		return nil, err
	}
	a.keys.mu.Lock()
	defer a.keys.mu.Unlock()
	rows := []keyRow{}
	for i, k := range a.keys.configured {
		source := "config"
		if a.keys.where[i] == a.cfg.KeyFile {
			source = "file"
		}
		rows = append(rows, keyRow{InUse: true, Name: k.Name, Rate: k.Rate, Robot: k.Robot.ID, RobotAs: k.Robot.Shown(), Scopes: k.Scopes, Source: source, Where: a.keys.where[i]})
	}
	for _, k := range a.keys.stored {
		_, taken := a.keys.names(k.Name)
		rows = append(rows, keyRow{CanEnd: k.Ended == 0, Ended: k.Ended, EndedBy: k.EndedBy, InUse: k.Ended == 0 && !taken, Made: k.Made, MadeBy: k.MadeBy,
			Name: k.Name, Rate: k.Rate, Robot: k.RobotID, RobotAs: protocol.Robot{ID: k.RobotID, Name: k.RobotName}.Shown(), Scopes: k.Scopes, Source: "database"})
	}
	return object{"keys": rows}, nil
}

// newKey makes a key, which holds at once.
func (a *API) newKey(ctx context.Context, r *request) (any, error) {
	a.refuseSecret(r, "name")
	name, scopes, rate := r.keyName(), r.scopes("scopes"), r.rate("rate")
	if r.err == nil && !GoodKeyName(name) {
		r.refuse(badRequest(textBadKeyName, shortened(name)))
	}
	if r.err != nil {
		return nil, r.err
	}
	robot, err := r.robot()
	if err != nil {
		return nil, err
	}
	k, secret := NewKey(name, scopes, rate, robot, r.caller.name, a.cfg.Clock())
	if a.secret != nil {
		k, secret = a.secret(k)
	}
	e := KeyEvent(a.event(r, r.path, name, ""), k)
	a.keys.mu.Lock()
	defer a.keys.mu.Unlock()
	_, taken := a.keys.names(name)
	taken = taken || slices.ContainsFunc(a.keys.stored, func(k store.Key) bool { return k.Name == name })
	if !taken && robot.ID != "" {
		if other, ok := a.keys.ring.Load().declares(robot); !ok {
			return nil, a.refused(ctx, e, refusal(resultFail, textRobotDeclared, robot.ID, other))
		}
		if err := a.svc.KeepRobot(ctx, robot); err != nil {
			a.auditRefusal(ctx, e, err)
			return nil, err
		}
	}
	if !taken {
		err = a.admin.AddKey(ctx, k, e)
	}
	switch {
	case taken, errors.Is(err, store.ErrDuplicate):
		return nil, a.refused(ctx, e, refusal(resultFail, textKeyNameUsed, name))
	case err != nil:
		return nil, err
	}
	a.keys.stored = append(slices.Clip(a.keys.stored), k)
	if err := a.keys.rebuild(a.log); err != nil {
		return nil, err
	}
	answer := object{"name": name, "rate": rate, "scopes": scopes, "secret": secret}
	if robot.ID != "" {
		answer["robot_id"], answer["robot_name"] = robot.ID, robot.Shown()
	}
	return answer, nil
}

// endKey ends a key at once. One that has ended already is ok.
func (a *API) endKey(ctx context.Context, r *request) (any, error) {
	a.refuseSecret(r, "name")
	name := r.keyName()
	if r.err != nil {
		return nil, r.err
	}
	e := a.event(r, r.path, name, "")
	a.keys.mu.Lock()
	defer a.keys.mu.Unlock()
	k, found, err := a.admin.EndKey(ctx, name, e)
	if err != nil {
		return nil, err
	}
	if !found {
		if where, ok := a.keys.names(name); ok {
			return nil, a.refused(ctx, e, refusal(resultFail, textKeyElsewhere, name, where))
		}
		return nil, a.refused(ctx, e, refusal(resultFail, textNoSuchKey, shortened(name)))
	}
	stored := slices.Clone(a.keys.stored)
	for i := range stored {
		if stored[i].Name == name {
			stored[i] = k
		}
	}
	a.keys.stored = stored
	if err := a.keys.rebuild(a.log); err != nil {
		return nil, err
	}
	return object{"ended": k.Ended, "name": name}, nil
}

// refuseSecret refuses a key or a token where a name belongs, before it can stand in an answer, a log or the audit log.
func (a *API) refuseSecret(r *request, name string) {
	text := strings.TrimSpace(r.first(name))
	if _, ours := a.keys.find(text); ours || LooksSecret(text) {
		r.refuse(badRequest(textSecretGiven, name))
	}
}

// madeSecret is the form of a secret that is made here.
var madeSecret = regexp.MustCompile(`(^|[^A-Za-z0-9])[A-Z2-7]{26}($|[^A-Za-z0-9])`)

// LooksSecret says whether a text holds what looks like a key that was made here, or a user's token.
func LooksSecret(text string) bool {
	return strings.Contains(text, tokens.Prefix) || madeSecret.MatchString(text)
}

// keyName is the name of a key, which has to be there.
func (r *request) keyName() string {
	name := r.text("name", MaxKeyName)
	if name == "" {
		r.refuse(badRequest(textMissing, "name"))
	}
	return name
}

// scopes are those of a new key.
func (r *request) scopes(name string) []string {
	scopes, ok := ParseScopes(r.first(name))
	if !ok {
		r.refuse(badRequest(textBadScopes, name))
	}
	return scopes
}

// ParseScopes reads scopes with commas between them, each once; false for none, or what is no scope.
func ParseScopes(text string) (scopes []string, ok bool) {
	for s := range strings.SplitSeq(text, ",") {
		s = strings.TrimSpace(s)
		if !slices.Contains(ScopeNames(), s) {
			return nil, false
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	slices.Sort(scopes)
	return scopes, true
}

// The rates that a key can have beside 0: from one call in a quarter of an hour to far above what one process answers.
const (
	minKeyRate = 0.001
	maxKeyRate = 1_000_000
)

// rate is a number of calls a second: absent or empty is 0, no limit.
func (r *request) rate(name string) float64 {
	v := strings.TrimSpace(r.first(name))
	if v == "" {
		return 0
	}
	rate, ok := ParseRate(v)
	if !ok {
		r.refuse(badRequest(textBadRate, name, minKeyRate, maxKeyRate))
	}
	return rate
}

// ParseRate reads a number of calls a second.
func ParseRate(text string) (rate float64, ok bool) {
	rate, err := strconv.ParseFloat(text, 64)
	return rate, err == nil && GoodRate(rate)
}

// GoodRate says whether a key can have that rate; 0 is no limit.
func GoodRate(rate float64) bool { return rate == 0 || rate >= minKeyRate && rate <= maxKeyRate }

// RateRange says which rates a key can have.
func RateRange() string { return fmt.Sprintf("0 (no limit), or %v to %d", minKeyRate, maxKeyRate) }
