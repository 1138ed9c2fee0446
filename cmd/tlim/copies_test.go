package main

import (
	"testing"

	"tlim/scripts/lab"
)

// An old client writes to the other user itself, and the message counts like any other.
func TestCopiesOnOpenfire(t *testing.T) {
	ctx := testContext(t)
	server := startOpenfire(t, ctx)
	config := lab.ServerConfig(server)
	config["xmpp.copies"] = "on"
	tlim := startTlim(t, ctx, lab.TlimOptions{Config: config})
	poll(t, ctx, func() bool {
		samples, err := tlim.Metrics(ctx)
		return err == nil && samples["tlim_packet_copies_up"] == 1
	})
	clients := map[string]*lab.Client{}
	for user, password := range map[string]string{"zhangsan": "z", "lisi": "l"} {
		c, err := lab.Dial(ctx, server.C2S, server.Domain, user, password, "phone", lab.WithPresence("", 0), lab.WithAck())
		if err != nil {
			t.Fatal(err)
		}
		clients[user] = c
	}
	// As an old client does: to the other user itself. The server delivers that; tlim stores and acknowledges it.
	id := lab.NewID()
	if err := clients["zhangsan"].SendMessage("lisi@"+server.Domain, id, lab.Text("zhangsan", "lisi", id, "from an old client")); err != nil {
		t.Fatal(err)
	}
	if _, err := clients["lisi"].WaitFor(ctx, func(m lab.Message) bool { return m.Is("MTT-000", id) }); err != nil {
		t.Errorf("lisi got nothing: %v, want the message %s", err, id)
	}
	if _, err := clients["zhangsan"].WaitFor(ctx, func(m lab.Message) bool { _, yes := m.Acknowledges(id); return yes }); err != nil {
		t.Errorf("zhangsan got nothing: %v, want the acknowledgement of %s", err, id)
	}
	if err := tlim.Stop(); err != nil {
		t.Error(err)
	}
}
