// Clients starts an Openfire and a tlim, generates clients from its openapi.json, and lets each of them do its round: scripts/clients.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tlim/scripts/lab"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

const (
	key   = "the-key-of-the-generated-clients"
	robot = "client-bot"
)

func run(ctx context.Context, languages []string) (err error) {
	root, err := lab.Root()
	if err != nil {
		return err
	}
	server, err := lab.StartOpenfire(ctx, lab.Options{Users: map[string]string{"zhangsan": "secret", "lisi": "secret"}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	config := lab.ServerConfig(server)
	config["http.keys"] = []map[string]any{{"name": "clients", "key": key, "scopes": []string{"admin"}, "robot": map[string]any{"id": robot}}}
	tlim, err := lab.StartTlim(ctx, lab.TlimOptions{Config: config})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tlim.Stop()) }()
	tlim.Key = key
	if err := tlim.AddUsers(ctx, map[string]string{"zhangsan": "张三", "lisi": "李四"}); err != nil {
		return err
	}
	work := filepath.Join(root, ".run", "clients")
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	var document json.RawMessage
	if err := tlim.Call(ctx, "GET", "openapi.json", nil, &document); err != nil {
		return err
	}
	file := filepath.Join(work, "openapi.json")
	if err := os.WriteFile(file, document, 0o644); err != nil {
		return err
	}
	for _, language := range languages {
		began, folder := time.Now(), filepath.Join(work, language)
		if err := command(ctx, filepath.Join(root, "scripts", "lab", "clients", "make"), language, file, folder).Run(); err != nil {
			return fmt.Errorf("%s: the client cannot be made: %w", language, err)
		}
		made := time.Since(began)
		round := command(ctx, filepath.Join(folder, "round"), tlim.URL, key, robot)
		round.Stdout = nil
		out, err := round.Output()
		if err != nil {
			return fmt.Errorf("%s: %w", language, err)
		}
		if err := check(ctx, tlim, language, strings.Fields(string(out))); err != nil {
			return fmt.Errorf("%s: %w", language, err)
		}
		fmt.Printf("%-10s made in %v, its round seen\n", language, made.Round(time.Second))
	}
	return nil
}

func command(ctx context.Context, name string, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, name, args...)
	c.Stdout, c.Stderr = os.Stderr, os.Stderr
	return c
}

// check asks the server, by no generated client, for what a program says that it did: said are the group and the notice's call.
func check(ctx context.Context, tlim *lab.Tlim, language string, said []string) error {
	if len(said) != 2 {
		return fmt.Errorf("it said %q, want a group and a call", said)
	}
	var history struct {
		Messages []struct {
			From string `json:"msg_from"`
			Body string `json:"body"`
		} `json:"message_list"`
	}
	if err := tlim.Call(ctx, "GET", "findSessionHistory", url.Values{"session_id": {said[0]}, "length": {"max"}}, &history); err != nil {
		return err
	}
	var got []string
	for _, m := range slices.Backward(history.Messages) {
		var body []struct{ Text string }
		if err := json.Unmarshal([]byte(m.Body), &body); err != nil || len(body) != 1 {
			return fmt.Errorf("a body is %q: %w", m.Body, err)
		}
		got = append(got, m.From+": "+body[0].Text)
	}
	var want []string
	for i := range 5 {
		want = append(want, fmt.Sprintf("%s: %s %d", robot, language, i+1))
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("the group's history is %q, want %q", got, want)
	}
	var notice struct {
		Receivers []struct {
			User string `json:"user_id"`
		}
	}
	if err := tlim.Call(ctx, "GET", "findNotice", url.Values{"call_id": {said[1]}, "length": {"max"}}, &notice); err != nil {
		return err
	}
	if len(notice.Receivers) != 2 || notice.Receivers[0].User != "zhangsan" || notice.Receivers[1].User != "lisi" {
		return fmt.Errorf("the notice went to %v, want zhangsan and lisi", notice.Receivers)
	}
	return nil
}
