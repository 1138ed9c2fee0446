package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tlim/scripts/lab"
)

// caller makes calls of the HTTP API over connections that stay open, and looks at the answers just enough to know that they
// are right: decoding them would cost this process more than making them costs ours.
type caller struct {
	site   *lab.Tlim
	client *http.Client
}

// newCaller keeps as many connections open as there are calls at once.
func newCaller(site *lab.Tlim, atOnce int) *caller {
	return &caller{site: site, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: atOnce, DisableCompression: true}}}
}

// post calls an endpoint and returns the whole answer, which says ok.
func (c *caller) post(ctx context.Context, endpoint string, values url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.site.URL+"/plugins/tlim/"+endpoint, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return c.do(req)
}

// get is post by GET.
func (c *caller) get(ctx context.Context, endpoint string, values url.Values) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.site.URL+"/plugins/tlim/"+endpoint+"?"+values.Encode(), nil)
	if err != nil {
		return nil, err
	}
	return c.do(req)
}

func (c *caller) do(req *http.Request) ([]byte, error) {
	req.Header.Set("Authorization", "Bearer "+c.site.Key)
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !saysOK(body)) {
		err = fmt.Errorf("%s: status %d: %.300s", req.URL.Path, resp.StatusCode, body)
	}
	return body, err
}

// saysOK looks behind the list of an answer, where result is: a message may hold anything.
func saysOK(body []byte) bool {
	return bytes.Contains(body[max(0, len(body)-endOfAnswer):], []byte(`"result":"ok"`))
}

// endOfAnswer is more than what follows a list.
const endOfAnswer = 200

// rowsIn counts the messages of an answer.
func rowsIn(body []byte) int { return bytes.Count(body, []byte(`"msg_time":"`)) }

// timed appends to the sample what one call took, in milliseconds.
func (s *Sample) timed(call func() error) error {
	start := time.Now()
	err := call()
	s.add(time.Since(start))
	return err
}
