package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tlim/component/outbox"
)

// The promises of outbox.Pusher, which the outbox counts on, kept by both pushers.

const secret, appKey, deadCode = "a-secret-of-16-or-more", "7d431e42dfa6a6d693ac2d04", "1a0018970aaaa"

// vendor is a pusher as the suite needs it.
type vendor struct {
	name    string
	make    func(url string, client *http.Client, now func() time.Time) outbox.Pusher
	path    string                                         // of a push
	took    string                                         // an answer that takes a note
	dead    string                                         // one that takes it and calls deadCode dead
	called  func(r *http.Request, body string) (id string) // the name of a call, as the vendor sees it
	answers func(w http.ResponseWriter, r *http.Request) bool
}

var vendors = []vendor{
	{
		name: "jpush",
		make: func(url string, client *http.Client, now func() time.Time) outbox.Pusher {
			return NewJPush(JPushConfig{AppKey: appKey, MasterSecret: secret, BaseURL: url, Client: client, Now: now})
		},
		path: "/v3/push",
		took: `{"sendno":"0","msg_id":"1"}`,
		dead: `{"sendno":"0","msg_id":"1","illegal_rids":["` + deadCode + `"]}`,
		called: func(_ *http.Request, body string) string {
			_, rest, _ := strings.Cut(body, `"cid":"`)
			id, _, _ := strings.Cut(rest, `"`)
			return id
		},
		answers: func() func(w http.ResponseWriter, r *http.Request) bool {
			var n atomic.Int64
			return func(w http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path != "/v3/push/cid" {
					return false
				}
				fmt.Fprintf(w, `{"cidlist":["%s-%d"]}`, appKey, n.Add(1))
				return true
			}
		}(),
	},
	{
		name: "webhook",
		make: func(url string, client *http.Client, now func() time.Time) outbox.Pusher {
			return NewWebhook(WebhookConfig{URL: url + "/hook?token=" + secret, Secret: secret, Client: client, Now: now})
		},
		path:    "/hook",
		took:    `{}`,
		dead:    `{"dead":["` + deadCode + `"]}`,
		called:  func(r *http.Request, _ string) string { return r.Header.Get(HeaderID) },
		answers: func(http.ResponseWriter, *http.Request) bool { return false },
	},
}

// onVendors runs a test over every pusher. answer is what the vendor says to a push; it may be nil where none comes.
func onVendors(t *testing.T, answer http.HandlerFunc, test func(t *testing.T, v vendor, url string)) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case v.answers(w, r):
				case r.URL.Path != v.path || r.Method != http.MethodPost:
					t.Errorf("got %s %s, want %s %s", r.Method, r.URL.Path, http.MethodPost, v.path)
				default:
					answer(w, r)
				}
			}))
			t.Cleanup(server.Close)
			test(t, v, server.URL)
		})
	}
}

func note(p outbox.Pusher, t *testing.T) outbox.Note {
	t.Helper()
	id, err := p.NewID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return outbox.Note{ID: id, Type: "MTS-000", Title: "项目组", Alert: "张三(项目组):hi", To: []outbox.Receiver{
		{User: "lisi", Code: "1a0018970bbbb", MsgID: "m1"}, {User: "wangwu", Code: deadCode, MsgID: "m1"}}}
}

// discreet fails the test when an error says what no log may hold.
func discreet(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, word := range []string{secret, appKey, deadCode, "1a0018970bbbb", "lisi", "项目组", "Basic "} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("got an error that names %q: %v, want it not named", word, err)
		}
	}
}

// failure takes an error apart; the parts that it does not give are zero.
func failure(err error) outbox.Error {
	var more *outbox.Error
	if errors.As(err, &more) {
		return *more
	}
	return outbox.Error{Err: err}
}

func TestPusherNames(t *testing.T) {
	onVendors(t, nil, func(t *testing.T, v vendor, url string) {
		p := v.make(url, nil, nil)
		seen := map[string]bool{}
		for range 25 {
			id, err := p.NewID(t.Context())
			if err != nil || id == "" || len(id) > 128 || seen[id] {
				t.Fatalf("got name %q, %v, want a new one of at most 128 characters", id, err)
			}
			seen[id] = true
		}
	})
}

func TestPusherAnswers(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status int
		header string // "Name: value"
		retry  bool
		wait   time.Duration // 0: none is asked for
	}{
		{status: 200},
		{status: 400},
		{status: 404},
		{status: 405},
		{status: 410},
		{status: 413},
		{status: 408, retry: true},
		{status: 429, header: "Retry-After: 7", retry: true, wait: 7 * time.Second},
		{status: 500, retry: true},
		{status: 502, retry: true},
		{status: 503, header: "Retry-After: 120", retry: true, wait: 2 * time.Minute},
		{status: 503, header: "Retry-After: " + now.Add(time.Minute).Format(http.TimeFormat), retry: true, wait: time.Minute},
		{status: 503, header: "Retry-After: " + now.Add(-time.Minute).Format(http.TimeFormat), retry: true},
		{status: 503, header: "Retry-After: soon", retry: true},
		{status: 503, header: "Retry-After: -5", retry: true},
		{status: 503, header: "Retry-After: 99999999", retry: true, wait: 24 * time.Hour},
		{status: 504, retry: true},
	} {
		t.Run(fmt.Sprint(c.status, " ", c.header), func(t *testing.T) {
			for _, v := range vendors {
				t.Run(v.name, func(t *testing.T) {
					server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if v.answers(w, r) {
							return
						}
						if name, value, ok := strings.Cut(c.header, ": "); ok {
							w.Header().Set(name, value)
						}
						w.WriteHeader(c.status)
						if c.status == 200 {
							io.WriteString(w, v.took)
						} else {
							io.WriteString(w, "<html>"+secret+" lisi</html>") // what a proxy says goes nowhere
						}
					}))
					defer server.Close()
					p := v.make(server.URL, nil, func() time.Time { return now })
					retry, err := p.Push(t.Context(), note(p, t))
					discreet(t, err)
					if got := failure(err); (err == nil) != (c.status == 200) || retry != c.retry || got.Wait != c.wait || len(got.Dead) > 0 || got.Split {
						t.Errorf("got retry %v, wait %v, %v, want retry %v, wait %v, nobody dead, no split", retry, got.Wait, err, c.retry, c.wait)
					}
				})
			}
		})
	}
}

// A repeated note goes out under the same name, by which the vendor knows it again.
func TestPusherRepeats(t *testing.T) {
	type seen struct{ header, body string }
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			var calls []seen
			var names []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if v.answers(w, r) {
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				names = append(names, v.called(r, string(body)))
				calls = append(calls, seen{r.Header.Get("Content-Type"), string(body)})
				io.WriteString(w, v.took)
			}))
			defer server.Close()
			first := v.make(server.URL, nil, nil)
			n := note(first, t)
			for _, p := range []outbox.Pusher{first, first, v.make(server.URL, nil, nil)} { // the last is another process
				if retry, err := p.Push(t.Context(), n); retry || err != nil {
					t.Errorf("got retry %v, %v, want no retry, no error", retry, err)
				}
			}
			if len(calls) != 3 || calls[0] != calls[1] || calls[0] != calls[2] || calls[0].header != "application/json" {
				t.Errorf("got calls %q, want 3 that are the same, of application/json", calls)
			}
			if names[0] != n.ID || names[2] != n.ID {
				t.Errorf("names %q, want %q", names, n.ID)
			}
		})
	}
}

func TestPusherDeadRegistrations(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !v.answers(w, r) {
					io.WriteString(w, v.dead)
				}
			}))
			defer server.Close()
			p := v.make(server.URL, nil, nil)
			retry, err := p.Push(t.Context(), note(p, t))
			discreet(t, err)
			if got := failure(err); retry || got.Err != nil || fmt.Sprint(got.Dead) != "["+deadCode+"]" {
				t.Errorf("got retry %v, dead %q, %v, want no retry, no error, [%s]", retry, got.Dead, err, deadCode)
			}
		})
	}
}

// Whatever the network does is worth another try, and the error says what it did, in the same words each time.
func TestPusherNetwork(t *testing.T) {
	cut := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	cutInTheMiddle := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"sendno":`)
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	noHTTP := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			io.WriteString(conn, "SSH-2.0-OpenSSH_9.6\r\n")
			conn.Close()
		}
	}
	for name, answer := range map[string]http.HandlerFunc{"cut": cut, "cut in the middle": cutInTheMiddle, "no http": noHTTP} {
		t.Run(name, func(t *testing.T) {
			onVendors(t, answer, func(t *testing.T, v vendor, url string) {
				p := v.make(url, nil, nil)
				n := note(p, t)
				for range 2 {
					retry, err := p.Push(t.Context(), n)
					discreet(t, err)
					if !retry || err == nil {
						t.Errorf("got retry %v, %v, want a retry, an error", retry, err)
					}
				}
			})
		})
	}
	t.Run("refused", func(t *testing.T) {
		for _, v := range vendors {
			t.Run(v.name, func(t *testing.T) {
				server := httptest.NewServer(http.NotFoundHandler())
				p := v.make(server.URL, nil, nil)
				server.Close()
				retry, err := p.Push(t.Context(), outbox.Note{ID: "x", Alert: "hi"})
				discreet(t, err)
				if !retry || err == nil || !strings.Contains(err.Error(), v.name+": dial: ") || strings.Contains(err.Error(), "127.0.0.1") {
					t.Errorf("got retry %v, %v, want a retry, an error with %q, without the address", retry, err, v.name+": dial: ")
				}
			})
		}
	})
}

// A vendor that hangs holds nobody who wants to stop, and every call has an end of its own.
func TestPusherHangs(t *testing.T) {
	came := make(chan struct{}, 1)
	onVendors(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil { // a server sees its client go once it has read the request
			t.Error(err)
		}
		came <- struct{}{}
		<-r.Context().Done()
	}, func(t *testing.T, v vendor, url string) {
		p := v.make(url, nil, nil)
		n := note(p, t)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-came; cancel() }()
		retry, err := p.Push(ctx, n)
		discreet(t, err)
		if !retry || !errors.Is(err, context.Canceled) {
			t.Errorf("got retry %v, %v, want a retry, %v", retry, err, context.Canceled)
		}

		var left time.Duration
		p = v.make(url, &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
			deadline, ok := r.Context().Deadline()
			if ok {
				left = time.Until(deadline)
			}
			return nil, context.DeadlineExceeded
		})}, nil)
		if retry, err := p.Push(t.Context(), n); !retry || !errors.Is(err, context.DeadlineExceeded) || left <= 0 || left > requestTime {
			t.Errorf("got retry %v, %v, %v left for the call, want a retry, %v, at most %v left", retry, err, left, context.DeadlineExceeded, requestTime)
		}
	})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// A redirect is not followed: neither texts nor credentials go to a place that nobody configured.
func TestPusherRedirects(t *testing.T) {
	var astray atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { astray.Add(1) }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			onVendors(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL+"/v3/push", status) },
				func(t *testing.T, v vendor, url string) {
					p := v.make(url, nil, nil)
					retry, err := p.Push(t.Context(), note(p, t))
					discreet(t, err)
					if retry || err == nil {
						t.Errorf("%d: got retry %v, %v, want no retry, an error", status, retry, err)
					}
				})
		})
	}
	if n := astray.Load(); n > 0 {
		t.Errorf("got %d calls elsewhere, want 0", n)
	}
}

// An answer without an end is read so far and no further.
func TestPusherEndlessAnswer(t *testing.T) {
	ended := make(chan struct{}, 1)
	onVendors(t, func(w http.ResponseWriter, r *http.Request) {
		part := []byte(strings.Repeat(" ", 32<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(part); err != nil {
				break
			}
		}
		ended <- struct{}{}
	}, func(t *testing.T, v vendor, url string) {
		p := v.make(url, nil, nil)
		_, err := p.Push(t.Context(), note(p, t))
		discreet(t, err)
		<-ended // the connection was given up
	})
}

// The outbox has eight calls under way.
func TestPusherInParallel(t *testing.T) {
	for _, v := range vendors {
		t.Run(v.name, func(t *testing.T) {
			var mu sync.Mutex
			seen := map[string]int{}
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if v.answers(w, r) {
					return
				}
				body, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				seen[v.called(r, string(body))]++
				mu.Unlock()
				io.WriteString(w, v.took)
			}))
			defer server.Close()
			p := v.make(server.URL, nil, nil)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() {
					for range 10 {
						id, err := p.NewID(t.Context())
						if err == nil {
							_, err = p.Push(t.Context(), outbox.Note{ID: id, Alert: "hi", To: []outbox.Receiver{{Code: "c"}}})
						}
						if err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			if len(seen) != 80 {
				t.Errorf("got %d names for 80 calls, want 80", len(seen))
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for text, good := range map[string]bool{
		"https://push.example.com/hook?x=y": true, "https://[2001:db8::1]:8443/": true, "http://127.0.0.1:8080/hook": true,
		"http://localhost/hook": true, "http://[::1]/hook": true,
		"": false, "push.example.com/hook": false, "http://push.example.com/hook": false, "http://127.0.0.1.example.com/": false,
		"http://localhost.example.com/": false, "ftp://push.example.com/": false, "https://": false, "https:///hook": false, "://x": false,
		"http://10.0.0.1/": false, "file:///etc/passwd": false, "https://a b/": false,
	} {
		t.Run(fmt.Sprintf("%q", text), func(t *testing.T) {
			if wrong := CheckURL(text); (wrong == "") != good {
				t.Errorf("got %q, want %v", wrong, good)
			}
		})
	}
}

// Faults of the network are told without the ports, which differ each time: the log has a fault that lasts once.
func TestPlain(t *testing.T) {
	err := plain(&net.OpError{Op: "read", Net: "tcp", Source: &net.TCPAddr{Port: 40001}, Addr: &net.TCPAddr{Port: 443}, Err: errors.New("connection reset by peer")})
	if err.Error() != "read: connection reset by peer" {
		t.Errorf(`got %q, want "read: connection reset by peer" without addresses`, err)
	}
}
