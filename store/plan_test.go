package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestEveryReadHasAnIndex asks SQLite for its plan of each query that runs while people wait: none may walk a table.
func TestEveryReadHasAnIndex(t *testing.T) {
	s, err := Open(t.Context(), Config{DSN: filepath.Join(t.TempDir(), "tlim.db")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	history := func(where string) []string {
		out := []string{historyCount + where, historyCount + where + historySince}
		for _, p := range []Page{{}, {BeforeTime: "1"}, {BeforeTime: "1", BeforeID: "m"}} {
			where, _, _ := keyset(where, nil, p)
			out = append(out, `SELECT `+messageColumns+` FROM ofmessage WHERE `+where+newestFirst)
		}
		return out
	}
	queries := []string{idGet, idSet, messageByID, messageTime, messageAbove, messageAfter, noticeNewest, messageConversation, messageDelete,
		pendingAll, pendingSince, pendingPlace, pendingNext, pendingNextBare, pendingTimeless, pendingTimelessBare, pendingUnread, pendingOwners,
		pendingOfMessage, pendingOfPair, pendingDelete, pendingOfGroup,
		receiptByKey, receiptOf, receiptUpdate, receiptOwner, receiptDelete, readCount, chatByKey, chatsOf,
		groupGet, groupOf, groupDelete, groupTouch, memberOf, memberUpdate, memberDelete, memberDeleteAll, formerOf, formerUpdate,
		userByJID, userByID, userAfter, userNameByJID, userNameByID, userPush, userPushTaken, userConfirms, userLeft,
		memberFirst, memberAfter, chatFirst, chatAfter, chatRefresh, staleClear, accountSet,
		pushDue, pushOfCalls, pushNext, pushSettled, pushOf, pushCount, pushBefore, pushOrphans, pushDelete, pushClaim, pushDelay, pushSettle, userPushDead, userPushOwner,
		oldMessagesFirst, oldMessagesAfter, walkPendingAfter, walkIDsAfter, walkFormersAfter, idDelete, formerDelete, oddMessages,
		receiptCount, receiptSome, fileBefore, fileCount, fileDelete, fileUseDelete, fileUseDrop, traceReceipts, tracePending, traceFiles,
		callGet, callByKey, callSame, callBefore, callAnswer, callEnd, callDelete, partsFrom, partDelete, idBetween, idCount, messageHead,
		purgeMessages, purgeRest, purgeNotices, noticeDelete, purgeDelete, stateGet, stateAdvance}
	for _, where := range []string{groupWhere, chatWhere, noticeWhere} {
		queries = append(queries, history(where)...)
	}
	for _, q := range queries {
		text := q
		if strings.Contains(text, "?*") {
			text = list(text, 3)
		}
		if strings.Contains(text, ")*") {
			text = alternatives(text, 3)
		}
		text = strings.NewReplacer("?", "'x'").Replace(s.dialect.text(text))
		steps := 0
		err := each(t.Context(), s.pools.reader, "EXPLAIN QUERY PLAN "+text, func(scan scanner) error {
			var id, parent, unused number
			var step string
			if err := scan(&id, &parent, &unused, &step); err != nil {
				return err
			}
			steps++
			// Duplicates of equal time are few; a sort of them is not a walk.
			if strings.HasPrefix(step, "SCAN") || step == "USE TEMP B-TREE FOR ORDER BY" && strings.Contains(q, "DESC") {
				t.Errorf("%s\n  in: %s", step, q)
			}
			return nil
		})
		if err != nil || steps == 0 {
			t.Errorf("%v, %d steps: %s", err, steps, q)
		}
	}
}
