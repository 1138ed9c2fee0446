package push

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"tlim/component/outbox"
)

// JPushURL is where JPush answers; apps that live in its Beijing room have https://bjapi.push.jiguang.cn.
const JPushURL = "https://api.jpush.cn"

// JPushConfig says whose app is to be woken.
type JPushConfig struct {
	AppKey, MasterSecret string
	BaseURL              string           // without /v3; "" is [JPushURL]
	Client               *http.Client     // nil: one of its own
	Now                  func() time.Time // nil: time.Now
}

// JPush pushes by the REST API v3 of JPush.
type JPush struct {
	cfg    JPushConfig
	client *http.Client

	mu     sync.Mutex
	cids   []string  // names for requests, from the vendor
	asked  time.Time // when they were fetched
	spent  time.Time // until then the requests of this minute are used up
	noCIDs bool      // this vendor gives none
}

// NewJPush makes a pusher; nothing is asked yet.
func NewJPush(cfg JPushConfig) *JPush {
	if cfg.BaseURL == "" {
		cfg.BaseURL = JPushURL
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Client == nil {
		cfg.Client = newClient()
	}
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	return &JPush{cfg: cfg, client: cfg.Client}
}

const (
	cidCount     = 100            // an app without a contract gets 10, whatever it asks for
	cidLife      = 12 * time.Hour // of the day that a cid is good for; the rest is for the request and its repetitions
	cidRetry     = 10 * time.Minute
	maxCIDLength = 128 // that the outbox holds; the vendor's have 61
)

// NewID gives a cid: JPush answers a request with a cid that it has seen as it answered the first, and pushes nothing. Where the
// vendor refuses to give one, requests go without: what is wrong, if anything, the push itself is told.
func (j *JPush) NewID(ctx context.Context) (string, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	now := j.cfg.Now()
	if age := now.Sub(j.asked); age > cidLife || j.noCIDs && age > cidRetry {
		j.cids, j.noCIDs = nil, false
	}
	if len(j.cids) == 0 && !j.noCIDs {
		if err := j.fetchCIDs(ctx, now); err != nil {
			return "", err
		}
	}
	if j.noCIDs {
		return uuid.NewString(), nil
	}
	id := j.cids[0]
	j.cids = j.cids[1:]
	return id, nil
}

// fetchCIDs is called with mu held: whoever wants a name waits for the same answer.
func (j *JPush) fetchCIDs(ctx context.Context, now time.Time) error {
	if wait := j.spent.Sub(now); wait > 0 {
		return &outbox.Error{Err: errSpent, Wait: wait}
	}
	resp, body, err := j.request(ctx, http.MethodGet, fmt.Sprintf("/v3/push/cid?count=%d", cidCount), nil)
	if err != nil {
		return err
	}
	j.limits(resp.Header, j.cfg.Now())
	var list struct {
		CIDs []string `json:"cidlist"`
	}
	switch {
	case passing(resp.StatusCode):
		_, err := j.judge(resp, body, nil, now)
		return err
	case resp.StatusCode/100 == 2 && json.Unmarshal(body, &list) == nil:
		j.cids = slices.DeleteFunc(list.CIDs, func(id string) bool { return j.cid(id) == "" })
	}
	j.noCIDs, j.asked = len(j.cids) == 0, now
	return nil
}

// cid is the name of a request when the vendor gave it to this app, else "": with another one it refuses the request.
func (j *JPush) cid(id string) string {
	if strings.HasPrefix(id, j.cfg.AppKey+"-") && len(id) <= maxCIDLength {
		return id
	}
	return ""
}

// payload is the body of a push, in the vendor's words.
type payload struct {
	CID          string   `json:"cid,omitempty"`
	Platform     []string `json:"platform"`
	Audience     audience `json:"audience"`
	Notification struct {
		Alert   string      `json:"alert"`
		Android androidNote `json:"android"`
		IOS     *appleNote  `json:"ios,omitempty"`
	} `json:"notification"`
	Options struct {
		Production bool `json:"apns_production"`
	} `json:"options"`
}

type audience struct {
	RegistrationIDs []string `json:"registration_id"`
}

type androidNote struct {
	Alert string `json:"alert"`
	Title string `json:"title"`
}

type appleNote struct {
	Alert string `json:"alert"`
	Sound string `json:"sound"`
	Badge string `json:"badge"`
}

// Push makes one request. It makes none while the requests of this minute are used up.
func (j *JPush) Push(ctx context.Context, n outbox.Note) (retry bool, err error) {
	now := j.cfg.Now()
	j.mu.Lock()
	wait := j.spent.Sub(now)
	j.mu.Unlock()
	if wait > 0 {
		return true, &outbox.Error{Err: errSpent, Wait: wait}
	}
	p := payload{CID: j.cid(n.ID)}
	p.Platform = []string{"android"}
	p.Notification.Alert = n.Alert
	p.Notification.Android = androidNote{Alert: n.Alert, Title: n.Title}
	if !n.Android {
		p.Platform = append(p.Platform, "ios")
		p.Notification.IOS = &appleNote{Alert: n.Alert, Sound: "default", Badge: "+1"}
	}
	p.Options.Production = true
	for _, to := range n.To {
		p.Audience.RegistrationIDs = append(p.Audience.RegistrationIDs, to.Code)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return false, fmt.Errorf("jpush: %w", err)
	}
	resp, answer, err := j.request(ctx, http.MethodPost, "/v3/push", body)
	if err != nil {
		return true, err
	}
	now = j.cfg.Now()
	j.mu.Lock()
	j.limits(resp.Header, now)
	j.mu.Unlock()
	return j.judge(resp, answer, &n, now)
}

// errSpent stands for a request that was not made because the vendor would refuse it.
var errSpent = fmt.Errorf("jpush: the calls of this minute are used up")

func (j *JPush) request(ctx context.Context, method, path string, body []byte) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, j.cfg.BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("jpush: base_url is no address")
	}
	req.SetBasicAuth(j.cfg.AppKey, j.cfg.MasterSecret)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, answer, err := do(ctx, j.client, req)
	if err != nil {
		return nil, nil, fmt.Errorf("jpush: %w", err)
	}
	return resp, answer, nil
}

// limits notes that the requests of this minute are used up (X-Rate-Limit-Remaining, -Reset: seconds). It wants mu.
func (j *JPush) limits(h http.Header, now time.Time) {
	if h.Get("X-Rate-Limit-Remaining") == "0" {
		j.spent = now.Add(seconds(h.Get("X-Rate-Limit-Reset")))
	}
}

// The vendor's error codes that mean more than their HTTP status.
const (
	codeInvalid  = 1003 // a value is not valid; of a registration id, its message names it
	codeApp      = 1008 // the app key is not valid
	codeNobody   = 1011 // nobody is meant: the registrations are unknown, of another platform, or 255 days without a sign of life
	codeHTTPS    = 1020 // base_url begins with http
	codeTooMany  = 2002 // more requests than the app may make in a minute
	defaultPause = time.Minute
	accountPause = 5 * time.Minute // what is wrong with the app takes a person to mend
)

// what an administrator can do about a refusal.
var remedies = map[int]string{
	1004: "app_key and master_secret do not belong together",
	1005: "the note is too large",
	1008: "push.jpush.app_key is not valid",
	1020: "push.jpush.base_url must begin with https",
	2003: "the vendor has blocked the app key; ask its support",
	2004: "this host's address is not in the app's list of allowed addresses",
	2005: "the vendor finds that too much is sent",
}

// judge reads an answer. n is the note it answers; nil is for answers that only say come again.
func (j *JPush) judge(resp *http.Response, body []byte, n *outbox.Note, now time.Time) (retry bool, err error) {
	var answer struct {
		Error struct {
			Code    int      `json:"code"`
			Message string   `json:"message"`
			Illegal []string `json:"illegal_rids"`
		} `json:"error"`
		Illegal []string        `json:"illegal_rids"`
		MsgID   json.RawMessage `json:"msg_id"` // a number, or a text of one
	}
	_ = json.Unmarshal(body, &answer) // a proxy in between answers in its own words: the status says enough
	code := answer.Error.Code
	switch {
	case resp.StatusCode/100 != 2 || code != 0:
	case len(answer.MsgID) == 0:
		// Somebody else's answer. Only a request with a cid may be made again: it cannot ring twice.
		return j.cid(n.ID) != "", fmt.Errorf("jpush: status %d without a msg_id: it is not the vendor who answers", resp.StatusCode)
	case len(answer.Illegal) > 0:
		return false, &outbox.Error{Dead: answer.Illegal}
	default:
		return false, nil
	}

	failed := &outbox.Error{Err: fmt.Errorf("jpush: status %d, code %d", resp.StatusCode, code)}
	if remedy := remedies[code]; remedy != "" {
		failed.Err = fmt.Errorf("%w: %s", failed.Err, remedy)
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || code == codeTooMany:
		failed.Wait = seconds(resp.Header.Get("X-Rate-Limit-Reset"))
		if failed.Wait == 0 {
			failed.Wait = retryAfter(resp.Header, now)
		}
		if failed.Wait == 0 {
			failed.Wait = defaultPause
		}
		return true, failed
	case passing(resp.StatusCode):
		failed.Wait = retryAfter(resp.Header, now)
		return true, failed
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || code == codeApp || code == codeHTTPS:
		failed.Wait = accountPause
		return true, failed
	case code == codeNobody:
		for _, to := range n.To {
			failed.Dead = append(failed.Dead, to.Code)
		}
		return false, failed
	case code == codeInvalid:
		for _, to := range n.To {
			if names(answer.Error.Message, to.Code) || slices.Contains(answer.Error.Illegal, to.Code) {
				failed.Dead = append(failed.Dead, to.Code)
			}
		}
		failed.Split = len(n.To) > 1
		return false, failed
	}
	return false, failed
}

// names says whether the vendor's message names a registration id, as a word of its own.
func names(message, code string) bool {
	for word := range strings.FieldsSeq(message) {
		if strings.Trim(word, `"'.,:;!()[]`) == code {
			return true
		}
	}
	return false
}
