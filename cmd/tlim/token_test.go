package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlim/component/tokens"
	"tlim/scripts/lab"
)

// tokenLives takes a token over a real server, both ways, calls with it, and revokes it beside the process that serves.
func tokenLives(t *testing.T, ctx context.Context, tlim *lab.Tlim, zhangsan *lab.Client) {
	domain := "tlim." + strings.SplitN(strings.SplitN(zhangsan.JID, "@", 2)[1], "/", 2)[0]
	ask := func(kind, payload string, answer any) {
		t.Helper()
		got, err := zhangsan.IQ(ctx, kind, domain, payload)
		if err == nil {
			err = xml.Unmarshal(got, answer)
		}
		if err != nil {
			t.Fatalf("%s: got %s, %v, want an answer that can be read", payload, got, err)
		}
	}
	status := func(token, query string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, tlim.URL+"/plugins/tlim/findSessions?"+query+"&access_token="+url.QueryEscape(token), nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		return response.StatusCode
	}
	var plain struct {
		Token struct {
			Expires int64  `xml:"expires,attr"`
			Text    string `xml:",chardata"`
		} `xml:"urn:tlim:token token"`
	}
	ask("get", `<token xmlns="urn:tlim:token"/>`, &plain)
	var command struct {
		Fields []struct {
			Var   string `xml:"var,attr"`
			Value string `xml:"value"`
		} `xml:"command>x>field"`
	}
	ask("set", `<command xmlns="http://jabber.org/protocol/commands" node="urn:tlim:token" action="execute"/>`, &command)
	if len(command.Fields) != 2 || command.Fields[0].Var != "token" {
		t.Fatalf("the command answers %+v, want 2 Fields, Var token", command)
	}
	var list struct {
		Items []struct {
			Node string `xml:"node,attr"`
		} `xml:"query>item"`
	}
	ask("get", `<query xmlns="http://jabber.org/protocol/disco#items" node="http://jabber.org/protocol/commands"/>`, &list)
	if len(list.Items) != 1 || list.Items[0].Node != "urn:tlim:token" {
		t.Errorf(`the commands are %+v, want 1 Item, Node "urn:tlim:token"`, list)
	}
	if left := time.Until(time.UnixMilli(plain.Token.Expires)); left < 59*time.Minute || left > time.Hour {
		t.Errorf("it ends in %s, want left at least %s, left at most %s", left, 59*time.Minute, time.Hour)
	}
	for _, token := range []string{plain.Token.Text, command.Fields[0].Value} {
		if code := status(token, "user_id=zhangsan"); code != http.StatusOK {
			t.Errorf("their own sessions: got %d, want 200", code)
		}
		if code := status(token, "user_id=lisi"); code != http.StatusForbidden {
			t.Errorf("another's sessions: got %d, want 403", code)
		}
	}
	if code, out, errs := runCommand(t, "token", "revoke", "zhangsan", "--config", filepath.Join(tlim.Dir, "tlim.yaml")); code != 0 || out != "the tokens of zhangsan have ended\n" {
		t.Fatalf("revoke: got %d %s %s, want 0, out %q", code, out, errs, "the tokens of zhangsan have ended\n")
	}
	if code := status(plain.Token.Text, "user_id=zhangsan"); code != http.StatusUnauthorized {
		t.Errorf("revoked: got %d, want 401", code)
	}
	ask("get", `<token xmlns="urn:tlim:token"/>`, &plain)
	if code := status(plain.Token.Text, "user_id=zhangsan"); code != http.StatusOK {
		t.Errorf("a new one: got %d, want 200", code)
	}
	if code, out, errs := runCommand(t, "keys", "usage", "--config", filepath.Join(tlim.Dir, "tlim.yaml")); code != 0 || !strings.Contains(out, "user") || !strings.Contains(out, "findSessions") {
		t.Errorf("keys usage: got %d %s %s, want 0, out with user, with findSessions", code, out, errs)
	}
	if log := readText(t, tlim.Log); strings.Contains(log, plain.Token.Text) {
		t.Error("got a token in the log, want none")
	}
}

// TestTokenRevoke: the command works beside a process that serves from the same database.
func TestTokenRevoke(t *testing.T) {
	dir := t.TempDir()
	config := write(t, dir, "tlim.yaml", "")
	if code, _, errs := runCommand(t, "token", "revoke", "lisi", "--config", config); code != exitFailed || !strings.Contains(errs, "tlim.db: no such file") {
		t.Errorf(`without a database: got %d %s, want %d and the error "tlim.db: no such file"`, code, errs, exitFailed)
	}
	db := openStore(t, dir)
	issuer := tokens.New(db, time.Hour, nil)
	token, _, err := issuer.Issue(t.Context(), "lisi")
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := issuer.Issue(t.Context(), "zhangsan")
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := runCommand(t, "token", "revoke", "LiSi", "--config", config)
	if code != 0 || !strings.HasPrefix(out, "the tokens of lisi have ended\n") || !strings.Contains(out, "is it spelled right") || errs != "" {
		t.Errorf(`got %d %s %s, want 0, an output that begins with %q and asks "is it spelled right", and no errors`, code, out, errs, "the tokens of lisi have ended\n")
	}
	if user, err := issuer.User(t.Context(), token); err == nil {
		t.Errorf("a revoked token is still that of %s, want an error", user)
	}
	if user, err := issuer.User(t.Context(), other); user != "zhangsan" || err != nil {
		t.Errorf("another user's token: got %s %v, want zhangsan, no error", user, err)
	}
	if code, out, _ = runCommand(t, "token", "revoke", "lisi", "--config", config); code != 0 || out != "the tokens of lisi have ended\n" {
		t.Errorf("again: got %d %s, want 0, out %q", code, out, "the tokens of lisi have ended\n")
	}
	for _, args := range [][]string{{"token", "revoke"}, {"token", "revoke", "a", "b"}, {"token", "revoke", "a@b@c\u00a0"}, {"token", "nonsense"}} {
		t.Run(fmt.Sprintf("%q", args), func(t *testing.T) {
			if code, _, errs := runCommand(t, append(args, "--config", config)...); code != exitUsage || errs == "" {
				t.Errorf("%q: got %d %s, want %d, an error", args, code, errs, exitUsage)
			}
		})
	}
}
