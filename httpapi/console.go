package httpapi

import (
	"cmp"
	"context"
	"slices"

	"tlim/component/protocol"
)

// Console knows of the process what administrators are shown, beside the tables and the messages.
type Console interface {
	// State says how the process is. It costs little: a page asks every few seconds.
	State(ctx context.Context) (ProcessState, error)
	// Callers counts the calls of the API since the start.
	Callers(ctx context.Context) (Callers, error)
	// Settings is the configuration in force, without secrets.
	Settings(ctx context.Context) (Settings, error)
	// Checks are those of `tlim doctor` as they were made last. With run they are made anew, unless they are just being made.
	Checks(ctx context.Context, run bool) (Checks, error)
}

// ProcessState is the answer of admin/state.
type ProcessState struct {
	Component string
	Database  DatabaseState
	Degraded  bool
	Devices   int
	Domain    string
	Link      PartState
	Losses    []Loss // the last ones, newest first
	Messages  PartState
	Pushes    []ChannelState
	Queue     QueueState
	Ready     bool
	Reasons   []string // why it is not
	Samples   []Sample // one every 5 seconds, oldest first, of the last quarter of an hour
	Server    string
	Started   int64
	Totals    Totals
	Users     PartState
	Version   string
	Warnings  []string
}

// PartState is how a part of the process is.
type PartState struct {
	Moved       string `json:"moved,omitempty"` // of the link: why it left the server before
	OK          bool   `json:"ok"`
	Server      string `json:"server,omitempty"`       // of the link: the one that it goes to
	ServerSince int64  `json:"server_since,omitempty"` // since when
	Since       int64  `json:"since,omitempty"`
	State       string `json:"state,omitempty"`
	Text        string `json:"text,omitempty"`
}

// DatabaseState is how the database is.
type DatabaseState struct {
	Engine     string `json:"engine,omitempty"`
	LastCommit int64  `json:"last_commit,omitempty"` // when messages were stored last, to within 5 seconds
	OK         bool   `json:"ok"`
	State      string `json:"state,omitempty"`
	Text       string `json:"text,omitempty"`
	Version    string `json:"version,omitempty"`
}

// QueueState is how much waits in the process.
type QueueState struct {
	Backlog     int `json:"backlog"`
	InFlight    int `json:"in_flight"`
	RowsDue     int `json:"rows_due"`
	Unconfirmed int `json:"unconfirmed"`
	Waiting     int `json:"waiting"`
}

// ChannelState is how a way of pushes is.
type ChannelState struct {
	Channel string `json:"channel"`
	Failing bool   `json:"failing"`
	Text    string `json:"text,omitempty"` // why
	Waiting int    `json:"waiting"`
}

// Totals are counted since the start.
type Totals struct {
	Commits    int64 `json:"commits"`
	Deliveries int64 `json:"deliveries"`
	Losses     int64 `json:"losses"`
	Messages   int64 `json:"messages"`
	Refused    int64 `json:"refused"`
}

// Sample is one point of the plots: what a second had of each, in the time since the sample before.
type Sample struct {
	At          int64   `json:"at"`
	CommitMsP99 float64 `json:"commit_ms_p99"`
	Commits     float64 `json:"commits"`
	Deliveries  float64 `json:"deliveries"`
	Messages    float64 `json:"messages"`
	Queue       int     `json:"queue"`
	Sessions    int     `json:"sessions"`
}

// Loss is one thing that was lost, or is back.
type Loss struct {
	At    int64  `json:"at"`
	Back  bool   `json:"back"`
	State string `json:"state,omitempty"` // of the part then
	Text  string `json:"text,omitempty"`
	What  string `json:"what"` // link, database or messages
}

// Callers are the calls of the API since the start, and what clients send without asking for an acknowledgement.
type Callers struct {
	Calls   []CallerCount
	Keyless []KeylessCount
	Since   int64
	Unasked []UnaskedCount
}

// CallerCount counts the calls of one caller.
type CallerCount struct {
	Caller   string `json:"caller"`
	Calls    int64  `json:"calls"`
	Endpoint string `json:"endpoint"`
	Status   string `json:"status"`
}

// KeylessCount counts the calls of one address that had no key where one belongs.
type KeylessCount struct {
	Address  string `json:"address"`
	Allowed  bool   `json:"allowed"`
	Calls    int64  `json:"calls"`
	Endpoint string `json:"endpoint"`
}

// UnaskedCount counts, of a class of clients, messages whose senders asked for no acknowledgement, and users who never ask.
type UnaskedCount struct {
	Class    string `json:"class"`
	Clients  int64  `json:"clients"`
	Messages int64  `json:"messages"`
}

// Settings is the configuration in force.
type Settings struct {
	File string
	Keys []Setting
}

// Setting is one key of it.
type Setting struct {
	Key    string `json:"key"`
	Source string `json:"source"` // default, file, environment or command line
	Value  string `json:"value,omitempty"`
}

// Checks are what `tlim doctor` looks at.
type Checks struct {
	Ended    int64
	Failures int
	Lines    []CheckLine
	Running  bool
	Started  int64 // 0: they were not made since the start
	Warnings int
}

// CheckLine is one finding.
type CheckLine struct {
	ID     string `json:"id"`
	Remedy string `json:"remedy,omitempty"`
	State  string `json:"state"` // ok, warning, failure or skipped
	Text   string `json:"text,omitempty"`

	Chinese struct{ Text, Remedy string } `json:"-"` // the same in Chinese
}

// console is what answers for the process; ErrUnavailable while nothing does.
func (a *API) console() (Console, error) {
	if a.cfg.Console == nil {
		return nil, protocol.ErrUnavailable
	}
	return a.cfg.Console, nil
}

// showState answers in one look how the process is.
func (a *API) showState(ctx context.Context, r *request) (any, error) {
	language := a.language(r)
	if r.err != nil {
		return nil, r.err
	}
	c, err := a.console()
	if err != nil {
		return nil, err
	}
	s, err := c.State(ctx)
	if err != nil {
		return nil, err
	}
	if language == Chinese {
		s.inChinese()
	}
	s.Pushes = slices.Clone(s.Pushes)
	for i := range s.Pushes {
		s.Pushes[i].Text = a.svc.PushTrouble(s.Pushes[i].Channel)
	}
	return object{"component": s.Component, "database": s.Database, "degraded": s.Degraded, "devices": s.Devices, "domain": s.Domain, "link": s.Link, "losses": list(s.Losses),
		"messages": s.Messages, "now": a.cfg.Clock().UnixMilli(), "pushes": list(s.Pushes), "queue": s.Queue, "ready": s.Ready, "reasons": list(s.Reasons), "samples": list(s.Samples),
		"server": s.Server, "started": s.Started, "totals": s.Totals, "users": s.Users, "version": s.Version, "warnings": list(s.Warnings)}, nil
}

// list is a list that is never null.
func list[T any](rows []T) []T {
	if rows == nil {
		return []T{}
	}
	return rows
}

// maxUnasking bounds the clients that are named.
const maxUnasking = 200

// showCallers says who calls, who does so without a key, and which clients never ask for an acknowledgement.
func (a *API) showCallers(ctx context.Context, _ *request) (any, error) {
	c, err := a.console()
	if err != nil {
		return nil, err
	}
	v, err := c.Callers(ctx)
	if err != nil {
		return nil, err
	}
	type row struct {
		Class string `json:"class"`
		User  string `json:"user_id"`
	}
	unasking := []row{}
	for _, one := range a.svc.Unasking(maxUnasking) {
		unasking = append(unasking, row{one.Class, one.User})
	}
	return object{"calls": list(v.Calls), "keyless": list(v.Keyless), "since": v.Since, "unasked": list(v.Unasked), "unasking": unasking}, nil
}

// showSettings shows the configuration in force.
func (a *API) showSettings(ctx context.Context, _ *request) (any, error) {
	c, err := a.console()
	if err != nil {
		return nil, err
	}
	s, err := c.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return object{"file": s.File, "keys": list(s.Keys)}, nil
}

// showChecks answers what `tlim doctor` found last, and runChecks has it look anew.
func (a *API) showChecks(ctx context.Context, r *request) (any, error) {
	return a.checks(ctx, r, false)
}
func (a *API) runChecks(ctx context.Context, r *request) (any, error) { return a.checks(ctx, r, true) }

func (a *API) checks(ctx context.Context, r *request, run bool) (any, error) {
	language := a.language(r)
	if r.err != nil {
		return nil, r.err
	}
	c, err := a.console()
	if err != nil {
		return nil, err
	}
	v, err := c.Checks(ctx, run)
	if err != nil {
		return nil, err
	}
	if language == Chinese {
		for i := range v.Lines { // of this answer alone
			l := &v.Lines[i]
			l.Text, l.Remedy = cmp.Or(l.Chinese.Text, l.Text), cmp.Or(l.Chinese.Remedy, l.Remedy)
		}
	}
	answer := object{"failures": v.Failures, "lines": list(v.Lines), "running": v.Running, "warnings": v.Warnings}
	for name, at := range map[string]int64{"ended": v.Ended, "started": v.Started} {
		if at > 0 {
			answer[name] = at
		}
	}
	return answer, nil
}
