package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"tlim/scripts/cmd/faults/checker"
)

// row of a message_list.
type row struct {
	ID   string `json:"msg_id"`
	Type string `json:"msg_type"`
	From string `json:"msg_from"`
	Time string `json:"msg_time"`
}

func (s *site) rows(ctx context.Context, path string, values url.Values) ([]row, error) {
	var answer struct {
		Result string `json:"result"`
		Detail string `json:"result_detail"`
		List   []row  `json:"message_list"`
	}
	err := s.call(ctx, func(ctx context.Context, p *process) error { return p.Call(ctx, http.MethodGet, path, values, &answer) })
	if err == nil && answer.Result != "ok" {
		err = fmt.Errorf("%s: %s %s", path, answer.Result, answer.Detail)
	}
	return answer.List, err
}

// rowsAgain asks until it is answered, or ctx ends: 503 says that it may be asked again.
func (s *site) rowsAgain(ctx context.Context, path string, values url.Values) ([]row, error) {
	for {
		list, err := s.rows(ctx, path, values)
		if err == nil || pause(ctx, askAgain) != nil {
			return list, err
		}
	}
}

// queue reads what waits for a user, and keeps it.
func (s *site) queue(ctx context.Context, user string) ([]row, error) {
	return s.rows(ctx, "getOffline", url.Values{"user_id": {user}, "getThenClear": {"1"}})
}

// historyPage is how many messages one call reads.
const historyPage = 500

// history reads what a user sees of a conversation since a time, oldest first, page by page.
func (s *site) history(ctx context.Context, t *talk, reader, since string) ([]row, error) {
	path, values := "findSessionHistory", url.Values{"session_id": {t.group}, "length": {fmt.Sprint(historyPage)}}
	if t.group == "" {
		other := t.members[0]
		if other == reader {
			other = t.members[1]
		}
		path = "findChatHistory"
		values.Set("session_id", other)
		values.Set("user_id", reader)
	}
	var all []row
	for {
		page, err := s.rowsAgain(ctx, path, values)
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			if r.Time > since {
				all = append(all, r)
			}
		}
		if len(page) < historyPage || page[len(page)-1].Time <= since {
			break
		}
		last := page[len(page)-1]
		values.Set("before", last.Time+","+last.ID)
	}
	slices.Reverse(all)
	return all, nil
}

// newest is the newest time of a message.
func (s *site) newest(ctx context.Context) (string, error) {
	db, err := s.database(1)
	if err != nil {
		return "", err
	}
	defer db.Close()
	var at string
	err = db.QueryRowContext(ctx, "SELECT COALESCE(MAX(msg_time), '0') FROM ofmessage").Scan(&at)
	return at, err
}

// collect reads what there is since a time: histories, queues, rows of each node, and who wrote them.
func (s *site) collect(ctx context.Context, talks []*talk, people []*person, since string) error {
	for _, t := range talks {
		for _, reader := range t.members {
			list, err := s.history(ctx, t, reader, since)
			if err != nil {
				return err
			}
			s.journal.add(checker.Event{Kind: checker.Listed, Reader: reader, Conversation: t.name})
			for _, r := range list {
				s.journal.add(checker.Event{Kind: checker.Listed, Reader: reader, Conversation: t.name, Message: r.ID, Time: r.Time})
			}
		}
	}
	for _, p := range people {
		if p.page {
			continue
		}
		list, err := s.rowsAgain(ctx, "getOffline", url.Values{"user_id": {p.name}, "getThenClear": {"1"}})
		if err != nil {
			return err
		}
		for _, r := range list {
			s.journal.add(checker.Event{Kind: checker.Queued, User: p.name, Message: r.ID})
		}
	}
	for n := 1; n <= 3; n++ {
		if err := s.node(ctx, n, since); err != nil {
			return err
		}
	}
	return s.writers(ctx)
}

func (s *site) node(ctx context.Context, n int, since string) error {
	db, err := s.database(n)
	if err != nil {
		return err
	}
	defer db.Close()
	s.journal.add(checker.Event{Kind: checker.Row, Node: fmt.Sprint(n)})
	list, err := db.QueryContext(ctx, "SELECT msg_id, msg_type, msg_from, msg_to, msg_time FROM ofmessage WHERE msg_time > ? ORDER BY msg_time, msg_id", since)
	if err != nil {
		return err
	}
	for list.Next() {
		var id, kind, from, to, at string
		if err := list.Scan(&id, &kind, &from, &to, &at); err != nil {
			return errors.Join(err, list.Close())
		}
		conversation := to
		if strings.HasPrefix(kind, "MTT-") {
			conversation = pair(from, to)
		}
		s.journal.add(checker.Event{Kind: checker.Row, Node: fmt.Sprint(n), Conversation: conversation, Message: id, Time: at})
	}
	return list.Err()
}

// writers reads what the triggers noted, and clears it.
func (s *site) writers(ctx context.Context) error {
	db, err := s.database(1)
	if err != nil {
		return err
	}
	defer db.Close()
	var last int64
	list, err := db.QueryContext(ctx, "SELECT batch, epoch, writer FROM faults_batch ORDER BY batch")
	if err != nil {
		return err
	}
	for list.Next() {
		e := checker.Event{Kind: checker.Batch}
		if err := list.Scan(&e.Number, &e.Epoch, &e.Writer); err != nil {
			return errors.Join(err, list.Close())
		}
		last = e.Number
		s.journal.add(e)
	}
	if err := list.Err(); err != nil {
		return err
	}
	if list, err = db.QueryContext(ctx, "SELECT what, msg_id, epoch, writer FROM faults_wrote"); err != nil {
		return err
	}
	for list.Next() {
		e := checker.Event{Kind: checker.Wrote}
		if err := list.Scan(&e.Table, &e.Message, &e.Epoch, &e.Writer); err != nil {
			return errors.Join(err, list.Close())
		}
		s.journal.add(e)
	}
	if err := list.Err(); err != nil {
		return err
	}
	// The last transaction stays, so that the next round sees what follows it.
	if _, err := db.ExecContext(ctx, "DELETE FROM faults_batch WHERE batch < ?", last); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "DELETE FROM faults_wrote")
	return err
}
