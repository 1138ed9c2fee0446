// Package push hands notes to those who wake phones: [JPush], the service of the shipped apps, and [Webhook], a sender of the
// site's own. Both implement outbox.Pusher; package outbox decides what goes out, when, and again.
//
// A pusher makes one HTTP request and judges the answer: whether the same note can succeed later, when that is, and which
// registrations are dead. It keeps nothing but what the vendor said of its limits, and names no secret and no registration in
// an error.
package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// requestTime bounds one request, its answer included.
const requestTime = 15 * time.Second

// maxAnswer bounds what is read of an answer; vendors say what they have to in a line, or name a thousand registrations.
const maxAnswer = 256 << 10

// newClient makes a client that follows no redirects: credentials and texts go to the address that was configured only.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 16 // the outbox has eight requests under way at most
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// do makes a request and reads the answer. Its error is the network's, without the address, which may hold a token.
func do(ctx context.Context, client *http.Client, req *http.Request) (*http.Response, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	resp, err := client.Do(req.WithContext(ctx))
	if err != nil {
		var where *url.Error
		if errors.As(err, &where) {
			err = where.Err
		}
		return nil, nil, plain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, nil, plain(err)
	}
	return resp, body, nil
}

// plain leaves out the ports of a network's error: they differ from request to request, and a fault that lasts is logged once.
func plain(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return &dialError{op.Err}
	}
	if errors.As(err, &op) {
		return fmt.Errorf("%s: %w", op.Op, op.Err)
	}
	return err
}

// dialError says that there was no connection at all.
type dialError struct{ err error }

func (d *dialError) Error() string { return "dial: " + d.err.Error() }
func (d *dialError) Unwrap() error { return d.err }

// passing says whether a status is the kind of trouble that goes away by itself.
func passing(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500
}

// retryAfter reads the header of that name, seconds or a date; 0 when there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if wait := seconds(text); wait > 0 {
		return wait
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// seconds reads a number of them; 0 for anything else. A day is more than anybody waits.
func seconds(text string) time.Duration {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return time.Duration(min(n, 24*60*60)) * time.Second
}
