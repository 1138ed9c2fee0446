// Round makes a group, sends a notice to two people, says what became of it, and pages a history; arguments: address, key, the robot's id.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"tlim/scripts/lab/clients/go/tlim"
)

func main() {
	if err := round(context.Background(), os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func round(ctx context.Context, address, key, robot string) error {
	client, err := tlim.NewClientWithResponses(address, tlim.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+key)
		return nil
	}))
	if err != nil {
		return err
	}

	var members []tlim.AddSessionSubscribersEntry
	for _, user := range []string{"zhangsan", "lisi", robot} {
		members = append(members, tlim.AddSessionSubscribersEntry{UserId: &user})
	}
	group, err := client.AddSessionWithResponse(ctx, tlim.AddSessionBody{SessionType: 0, RequestUser: "zhangsan", Subscribers: members})
	if err != nil || group.JSON200 == nil {
		return fmt.Errorf("addSession: %v, %v", group, err)
	}
	if err := want("addSession", []any{group.JSON200.Result, len(*group.JSON200.Subscribers)}, []any{"ok", 3}); err != nil {
		return err
	}

	title, text := "go", "通知"
	notice, err := client.SystemMessageWithResponse(ctx, tlim.SystemMessageBody{MsgTo: []string{"zhangsan", "lisi"}, Params: []tlim.SystemMessage{{Title: &title, Content: &text}}})
	if err != nil || notice.JSON200 == nil {
		return fmt.Errorf("systemMessage: %v, %v", notice, err)
	}
	if err := want("systemMessage", notice.JSON200.Result, "ok"); err != nil {
		return err
	}
	ten := 10
	became, err := client.FindNoticeWithResponse(ctx, tlim.FindNoticeBody{CallId: *notice.JSON200.CallId, Length: &ten})
	if err != nil || became.JSON200 == nil {
		return fmt.Errorf("findNotice: %v, %v", became, err)
	}
	var receivers []string
	for _, r := range *became.JSON200.Receivers {
		receivers = append(receivers, fmt.Sprint(*r.UserId, " ", *r.Stored))
	}
	if err := want("findNotice", fmt.Sprint(became.JSON200.Result, " ", *became.JSON200.State, " ", became.JSON200.Total, " ", receivers),
		"ok done 2 [zhangsan stored lisi stored]"); err != nil {
		return err
	}

	var said, read []string
	for i := range 5 {
		id, content := uuid.NewString(), fmt.Sprint("go ", i+1)
		sent, err := client.SendMessageWithResponse(ctx, tlim.SendMessageBody{SessionId: group.JSON200.SessionId, Content: content, MsgId: &id})
		if err != nil || sent.JSON200 == nil {
			return fmt.Errorf("sendMessage: %v, %v", sent, err)
		}
		if err := want("sendMessage", sent.JSON200.Result, "ok"); err != nil {
			return err
		}
		said = append(said, id)
	}
	slices.Reverse(said)
	two := 2
	var before *string
	for rows := two; rows == two; {
		page, err := client.FindSessionHistoryWithResponse(ctx, tlim.FindSessionHistoryBody{SessionId: *group.JSON200.SessionId, Length: &two, Before: before})
		if err != nil || page.JSON200 == nil {
			return fmt.Errorf("findSessionHistory: %v, %v", page, err)
		}
		if err := want("findSessionHistory", page.JSON200.Result, "ok"); err != nil {
			return err
		}
		rows = len(*page.JSON200.MessageList)
		for _, m := range *page.JSON200.MessageList {
			last := *m.MsgTime + "," + *m.MsgId
			read, before = append(read, *m.MsgId), &last
		}
	}
	if err := want("history", read, said); err != nil {
		return err
	}

	nowhere, err := client.FindSessionHistoryWithResponse(ctx, tlim.FindSessionHistoryBody{SessionId: "nowhere", Length: &two})
	if err != nil || nowhere.JSON200 == nil {
		return fmt.Errorf("findSessionHistory: %v, %v", nowhere, err)
	}
	if err := want("no group", nowhere.JSON200.Result, "error-009"); err != nil {
		return err
	}
	fmt.Println(*group.JSON200.SessionId, *notice.JSON200.CallId)
	return nil
}

func want(what string, got, want any) error {
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}
