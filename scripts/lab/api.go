package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

const apiBase = "/plugins/tlim/"

// HTTPError is an answer with another status than 200.
type HTTPError struct {
	Status int
	Header http.Header
	Body   string
}

func (h *HTTPError) Error() string { return fmt.Sprintf("status %d: %s", h.Status, h.Body) }

// Get calls an endpoint by GET ("findSessions", below /plugins/tlim/, or a path that begins with a slash) with the admin key, and returns
// the decoded answer. An answer whose result is not "ok" is no error: tests look at it. Another status than 200 is an *HTTPError.
func (t *Tlim) Get(ctx context.Context, path string, values url.Values) (map[string]any, error) {
	var answer map[string]any
	err := t.Call(ctx, http.MethodGet, path, values, &answer)
	return answer, err
}

// Post is Get by POST with a form.
func (t *Tlim) Post(ctx context.Context, path string, values url.Values) (map[string]any, error) {
	var answer map[string]any
	err := t.Call(ctx, http.MethodPost, path, values, &answer)
	return answer, err
}

// Call is Get and Post for those who want the answer in a type of their own, such as the array of findPresence.
func (t *Tlim) Call(ctx context.Context, method, path string, values url.Values, answer any) error {
	if !strings.HasPrefix(path, "/") {
		path = apiBase + path
	}
	target, form := t.URL+path, io.Reader(nil)
	if method == http.MethodPost {
		form = strings.NewReader(values.Encode())
	} else if len(values) > 0 {
		target += "?" + values.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, form)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if t.Key != "" {
		req.Header.Set("Authorization", "Bearer "+t.Key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %w", path, &HTTPError{resp.StatusCode, resp.Header, string(body)})
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s: answer %.200q: %w", path, body, err)
	}
	return nil
}

// AddUsers registers users (id to name) by addUser.
func (t *Tlim) AddUsers(ctx context.Context, names map[string]string) error {
	var list []map[string]string
	for _, id := range slices.Sorted(maps.Keys(names)) {
		list = append(list, map[string]string{"user_id": id, "user_name": names[id]})
	}
	answer, err := t.Post(ctx, "addUser", url.Values{"userList": {marshal(list)}})
	if err == nil && answer["result"] != "ok" {
		err = fmt.Errorf("addUser: %v", answer)
	}
	return err
}

// AddSession makes a group of known users by addSession and returns its id. Its owner is a member only when listed.
func (t *Tlim) AddSession(ctx context.Context, owner string, members ...string) (string, error) {
	var list []map[string]string
	for _, id := range members {
		list = append(list, map[string]string{"user_id": id})
	}
	answer, err := t.Post(ctx, "addSession", url.Values{
		"session_type": {"0"}, "request_user": {owner}, "subscribers": {marshal(list)},
	})
	if err != nil {
		return "", err
	}
	id, ok := answer["session_id"].(string)
	if answer["result"] != "ok" || !ok {
		return "", fmt.Errorf("addSession: %v", answer)
	}
	return id, nil
}

// Metrics returns all samples of /metrics by name with labels, as printed there: `tlim_stanzas_total{kind="message"}`.
func (t *Tlim) Metrics(ctx context.Context) (map[string]float64, error) {
	status, body, err := t.probe(ctx, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("/metrics: %w", err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("/metrics: status %d", status)
	}
	return samples([]byte(body))
}

// samples reads the Prometheus text format, without time stamps, which our process does not send.
func samples(text []byte) (map[string]float64, error) {
	values := map[string]float64{}
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		i := bytes.LastIndexByte(line, ' ')
		if i < 0 {
			return nil, fmt.Errorf("/metrics: no value in %q", line)
		}
		value, err := strconv.ParseFloat(string(line[i+1:]), 64)
		if err != nil {
			return nil, fmt.Errorf("/metrics: %q: %w", line, err)
		}
		values[string(line[:i])] = value
	}
	return values, nil
}

// Sum adds all samples of a metric, whatever their labels.
func Sum(samples map[string]float64, name string) float64 {
	var sum float64
	for key, value := range samples {
		if key == name || strings.HasPrefix(key, name+"{") {
			sum += value
		}
	}
	return sum
}
