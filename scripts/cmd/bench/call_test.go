package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"tlim/scripts/lab"
)

func TestCaller(t *testing.T) {
	answers := map[string]string{
		"ok":      `{"message_list":[{"body":"[{\"text\":\"\"}]","msg_id":"a1","msg_time":"1"},{"msg_id":"a2","msg_time":"2"}],"result":"ok","result_detail":""}`,
		"refused": `{"message_list":[{"body":"\"result\":\"ok\"","msg_id":"a1","msg_time":"1"}` + strings.Repeat(" ", endOfAnswer) + `],"result":"error-013","result_detail":"x"}`,
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer k" || r.FormValue("user_id") != "m00" {
			w.WriteHeader(http.StatusForbidden)
		}
		name := strings.TrimPrefix(r.URL.Path, "/plugins/tlim/")
		_, _ = w.Write([]byte(answers[strings.ToLower(name)]))
	}))
	defer s.Close()
	c := newCaller(&lab.Tlim{URL: s.URL, Key: "k"}, 1)
	form := url.Values{"user_id": {"m00"}}
	body, err := c.get(t.Context(), "ok", form)
	if err != nil || rowsIn(body) != 2 || firstID(body) != "a1" {
		t.Errorf("get: got %d messages from %q on, %v, want 2 from a1 on and no error", rowsIn(body), firstID(body), err)
	}
	if _, err := c.post(t.Context(), "ok", form); err != nil {
		t.Errorf("post: got %v, want no error", err)
	}
	if _, err := c.get(t.Context(), "refused", form); err == nil {
		t.Error("an answer that is not ok is taken for one, want an error")
	}
	if _, err := c.get(t.Context(), "ok", nil); err == nil || !strings.Contains(err.Error(), "status 403") {
		t.Errorf(`an answer 403: got %v, want an error, error with "status 403"`, err)
	}
}
