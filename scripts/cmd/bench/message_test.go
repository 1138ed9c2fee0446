package main

import (
	"encoding/json"
	"testing"
)

func TestWriter(t *testing.T) {
	w := newGroupWriter("m00", "tlim.im.test", "chat", "s1", true)
	messages := parse(t, []byte(w.batch(3)))
	if len(messages) != 3 {
		t.Fatalf("%d messages, want 3", len(messages))
	}
	seen := map[string]bool{}
	for _, m := range messages {
		var envelope struct {
			ID   string              `json:"msg_id"`
			Type string              `json:"msg_type"`
			From string              `json:"msg_from"`
			To   string              `json:"msg_to"`
			Body []map[string]string `json:"body"`
		}
		if err := json.Unmarshal([]byte(m.Body), &envelope); err != nil {
			t.Fatalf("got %v, want JSON in the body: %s", err, m.Body)
		}
		if seen[m.ID] || envelope.ID != m.ID || len(m.ID) != 36 {
			t.Errorf("got id %q with msg_id %q, want the same new id of 36 characters in both", m.ID, envelope.ID)
		}
		seen[m.ID] = true
		if envelope.Type != "MTS-000" || envelope.From != "m00" || envelope.To != "s1" || envelope.Body[0]["session_id"] != "s1" || len(envelope.Body[0]["text"]) != 100 {
			t.Errorf("got %+v, want an MTS-000 of m00 to s1 with 100 characters", envelope)
		}
		if m.To != "tlim.im.test" || m.Type != "chat" {
			t.Errorf("got %+v, want a chat message to tlim.im.test", m)
		}
	}
	if other := newGroupWriter("m00", "tlim.im.test", "chat", "s1", true); other.run == w.run {
		t.Errorf("two writers make ids of the same run %v, want different ones", w.run)
	}
}
