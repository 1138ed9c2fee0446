package jpush

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// Double is the vendor. It closes with [Double.Close]; its methods may be called at any time.
type Double struct {
	URL         string
	Key, Secret string // of the app; nobody else is let in
	server      *httptest.Server
	closed      chan struct{}

	mu       sync.Mutex
	rang     []Push
	repeated int
	calls    int
	named    int
	given    map[string]bool   // cids
	taken    map[string]string // cid, the answer to the first call with it
	platform map[string]string // registration, android or ios; what is not there has both
	dead     map[string]bool
	faults   []Fault
	held     int // calls that wait for an answer
	left     int // calls of this minute; below 0: no limit
	reset    int
	serial   atomic.Int64
}

// Push is a call that reached phones.
type Push struct {
	CID       string
	Platforms []string
	Codes     []string // those that rang
	Alert     string
	Title     string // Android's
	Body      string // the whole call
}

// Fault is what happens to one call instead of its answer.
type Fault struct {
	Path   string // "" = /v3/push
	Taken  bool   // the phones ring all the same: only the answer is lost
	Hold   bool   // there is no answer until the caller goes
	Cut    bool   // the connection breaks
	Status int
	Code   int // of an error in the vendor's words; 0: Text is the body
	Text   string
	Header map[string]string
}

// Start starts a vendor with an app.
func Start() *Double {
	d := &Double{Key: "7d431e42dfa6a6d693ac2d04", Secret: "5e987ac6d2e04d95a9d8f0d1", closed: make(chan struct{}), left: -1, given: map[string]bool{},
		taken: map[string]string{}, platform: map[string]string{}, dead: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/v3/push/cid", d.guarded(d.cid))
	mux.HandleFunc("/v3/push", d.guarded(d.push))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound, 0, "no such resource") })
	d.server = httptest.NewServer(mux)
	d.URL = d.server.URL
	return d
}

// Close ends the vendor, and the calls that it holds.
func (d *Double) Close() {
	close(d.closed)
	d.server.Close()
}

// Fail is what happens to the next calls of these paths, in order; the others go their way.
func (d *Double) Fail(faults ...Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = append(d.faults, faults...)
}

// Mend takes back the faults that have not happened.
func (d *Double) Mend() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults = nil
}

// Limit lets so many calls through (below 0: all), the next ones once it is called again; the headers of the answers promise that in reset seconds.
func (d *Double) Limit(calls, reset int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.left, d.reset = calls, reset
}

// Kill makes a registration one that the vendor does not know any more.
func (d *Double) Kill(code string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.dead[code] = true
}

// Phone says what a registration's device is: android or ios.
func (d *Double) Phone(code, platform string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.platform[code] = platform
}

// Rang lists what has reached phones so far.
func (d *Double) Rang() []Push {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.rang)
}

// Calls counts the calls of /v3/push, whatever became of them, and those that were repetitions by their cid.
func (d *Double) Calls() (all, repeated int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls, d.repeated
}

// Held counts the calls that wait for an answer that does not come.
func (d *Double) Held() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held
}

func (d *Double) hold(more int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held += more
}

// guarded is what comes before both calls: who calls, how often they may, and what is to go wrong.
func (d *Double) guarded(handle func(*http.Request, []byte) (status int, body string)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err != nil {
			return // the caller is gone
		}
		d.mu.Lock()
		if r.URL.Path == "/v3/push" {
			d.calls++
		}
		var fault *Fault
		for i, f := range d.faults {
			if f.Path == r.URL.Path || f.Path == "" && r.URL.Path == "/v3/push" {
				fault = &f
				d.faults = slices.Delete(d.faults, i, i+1)
				break
			}
		}
		limited := d.left == 0
		if d.left > 0 {
			d.left--
		}
		if d.left >= 0 {
			w.Header().Set("X-Rate-Limit-Limit", "600")
			w.Header().Set("X-Rate-Limit-Remaining", strconv.Itoa(d.left))
			w.Header().Set("X-Rate-Limit-Reset", strconv.Itoa(d.reset))
		}
		d.mu.Unlock()
		w.Header().Set("Content-Type", "application/json; charset=utf-8")

		key, secret, ok := r.BasicAuth()
		switch {
		case fault != nil:
			if fault.Taken {
				handle(r, body)
			}
			d.fail(w, r, *fault)
		case !ok || key == d.Key && secret != d.Secret:
			refuse(w, http.StatusUnauthorized, 1004, "Authen failed")
		case key != d.Key:
			refuse(w, http.StatusBadRequest, 1008, "app_key is not valid")
		case limited:
			refuse(w, http.StatusTooManyRequests, 2002, "API rate limit exceeded")
		default:
			status, answer := handle(r, body)
			w.WriteHeader(status)
			io.WriteString(w, answer)
		}
	}
}

func (d *Double) fail(w http.ResponseWriter, r *http.Request, f Fault) {
	switch {
	case f.Hold:
		d.hold(1)
		defer d.hold(-1)
		select {
		case <-r.Context().Done():
		case <-d.closed:
		}
		return
	case f.Cut:
		panic(http.ErrAbortHandler)
	}
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	if f.Code != 0 {
		refuse(w, f.Status, f.Code, f.Text)
		return
	}
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Text)
}

// cid answers GET /v3/push/cid?count=n: an app without a contract gets 10 at most.
func (d *Double) cid(r *http.Request, _ []byte) (int, string) {
	if r.Method != http.MethodGet {
		return failure(http.StatusMethodNotAllowed, 1001, "only GET is supported")
	}
	n := 1
	if text := r.FormValue("count"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			return failure(http.StatusBadRequest, 1003, "count is not valid")
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	list := make([]string, min(n, 10))
	for i := range list {
		d.named++
		list[i] = fmt.Sprintf("%s-00000000-0000-4000-8000-%012d", d.Key, d.named)
		d.given[list[i]] = true
	}
	return http.StatusOK, marshal(map[string]any{"cidlist": list})
}

// call is what a push may hold, as far as it is looked at.
type call struct {
	CID      string          `json:"cid"`
	Platform json.RawMessage `json:"platform"`
	Audience struct {
		Registrations []string `json:"registration_id"`
	} `json:"audience"`
	Notification struct {
		Alert   string                         `json:"alert"`
		Android *struct{ Alert, Title string } `json:"android"`
		IOS     *struct {
			Alert, Sound string
			Badge        json.RawMessage
		} `json:"ios"`
	} `json:"notification"`
}

func (d *Double) push(r *http.Request, body []byte) (int, string) {
	var c call
	var platforms []string
	switch {
	case r.Method != http.MethodPost:
		return failure(http.StatusMethodNotAllowed, 1001, "only POST is supported")
	case json.Unmarshal(body, &c) != nil:
		return failure(http.StatusBadRequest, 1003, "the body is no JSON")
	case len(c.Platform) == 0 || len(c.Audience.Registrations) == 0 || c.Notification.Alert == "":
		return failure(http.StatusBadRequest, 1002, "platform, audience and notification are required")
	case json.Unmarshal(c.Platform, &platforms) != nil || len(c.Audience.Registrations) > 1000:
		return failure(http.StatusBadRequest, 1003, "platform or audience is not valid")
	case len(c.Notification.Alert) > 4000:
		return failure(http.StatusBadRequest, 1005, "the message is too large")
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	if c.CID != "" {
		if !d.given[c.CID] {
			return failure(http.StatusBadRequest, 1003, "cid is not valid")
		}
		if answer, before := d.taken[c.CID]; before {
			d.repeated++
			return http.StatusOK, answer
		}
	}
	p := Push{CID: c.CID, Platforms: platforms, Alert: c.Notification.Alert, Body: string(body)}
	if c.Notification.Android != nil {
		p.Title = c.Notification.Android.Title
	}
	for _, code := range c.Audience.Registrations {
		on, one := d.platform[code]
		if !d.dead[code] && (!one || slices.Contains(platforms, on)) {
			p.Codes = append(p.Codes, code)
		}
	}
	if len(p.Codes) == 0 {
		return failure(http.StatusBadRequest, 1011, "cannot find user by this audience")
	}
	d.rang = append(d.rang, p)
	answer := marshal(map[string]any{"sendno": "0", "msg_id": strconv.FormatInt(d.serial.Add(1), 10)})
	if c.CID != "" {
		d.taken[c.CID] = answer
	}
	return http.StatusOK, answer
}

func failure(status, code int, message string) (int, string) {
	return status, marshal(map[string]any{"error": map[string]any{"code": code, "message": message}})
}

func refuse(w http.ResponseWriter, status, code int, message string) {
	_, body := failure(status, code, message)
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func marshal(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of maps and texts only
	}
	return string(b)
}

// Counts says how often each registration rang with each text: "code text".
func (d *Double) Counts() map[string]int {
	counts := map[string]int{}
	for _, p := range d.Rang() {
		for _, code := range p.Codes {
			counts[code+" "+p.Alert]++
		}
	}
	return counts
}
