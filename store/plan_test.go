package store

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
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
	for _, q := range everyQuery() {
		text := Literal(s.dialect, ofThree(q), nil)
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
				t.Errorf("got %s, want an index\n  in: %s", step, q)
			}
			return nil
		})
		if err != nil || steps == 0 {
			t.Errorf("got %v, %d steps: %s, want steps > 0, no error", err, steps, q)
		}
	}
}

// ofThree is a query with its list expanded.
func ofThree(query string) string {
	if strings.Contains(query, "?*") {
		query = list(query, 3)
	}
	if strings.Contains(query, ")*") {
		query = alternatives(query, 3)
	}
	return query
}

// EveryQuery are those of everyQuery with their lists expanded.
func EveryQuery() (queries []string) {
	for _, q := range everyQuery() {
		queries = append(queries, ofThree(q))
	}
	return queries
}

// everyQuery lists the queries that run while people wait, lists unexpanded.
func everyQuery() []string {
	history := func(where string) []string {
		out := []string{historyCount + where, historyCount + where + historySince}
		for _, p := range []Page{{}, {BeforeTime: "1"}, {BeforeTime: "1", BeforeID: "m"}} {
			where, _, _ := keyset(where, nil, p)
			out = append(out, `SELECT `+messageColumns+` FROM ofmessage WHERE `+where+newestFirst)
		}
		return out
	}
	queries := []string{idGet, idSet, messageByID, messageTime, noticeNewest, messageConversation, messageDelete,
		offlineAll, offlineSince, offlinePlace, offlineUnread, offlineOwners, offlineMarks,
		offlineOfMessage, offlineOfPair, offlineDelete, offlineOfGroup, offlineOldGroup,
		receiptByKey, receiptOf, receiptUpdate, receiptOwner, receiptDelete, readCount, chatByKey, chatsOf,
		groupGet, groupsOf, groupsOwned, groupsIn, groupDelete, groupTouch, memberOf, memberUpdate, memberDelete, memberDeleteAll, formerOf, formerUpdate,
		userByJID, userByID, userRobot, userNameByJID, userNameByID, userPush, userPushTaken, userConfirms, userForgotten, userLeft,
		chatRefresh, staleClear, accountSet, accountsGone, userRelearn,
		pushDue, pushOfRequests, pushNext, pushDone, pushOf, pushCount, pushBefore, pushOrphans, pushDelete, pushClaim, pushDelay, pushOutcome, userPushDead, userPushOwner,
		idDelete, formerDelete, oddMessages, observedMessages, observedQueue, observedSince,
		receiptCount, receiptSome, fileBefore, fileCount, fileStored, fileDelete, fileUseDelete, fileUseDrop, traceReceipts, traceOffline, traceFiles,
		callGet, callByKey, callSame, callBefore, callAnswer, callEnd, callFree, callOpen, callPage, callStored, callQueued, callRead, callPushed, callDelete, memberCounts, groupCounts, chatNewest, queueSizes, queueHeads, pushWaiting, pushEnded + endedNewest, pushEnded + endedBefore + endedNewest, partsFrom, partDelete, auditPage, auditOf, auditEnd, auditOld, auditCount, auditDelete, eventPage, eventFailing, eventOldest, eventLast, eventCount, eventOld, eventFailed, eventDead, eventReplay, eventDelete, eventBury, eventDeadKeys, keyByOne, keyEnd, idBetween, idCount, messageHead,
		offlineCounts, receiptReaders, groupSetName, groupSetTime, groupSetPic, groupSetValid, styleOf, styleUpdate,
		announcementGet, announcementCount, announcementTitle, announcementContent,
		chatErased, noticeErased, authorErased, messageAuthors, fileGet, fileKnown, fileMessages, fileUsePairs, secretGet, generationGet, generationRaise,
		stateTake, stateLock, stateHold, purgeMessages, purgeRest, purgeAnnouncements, announcementDelete, purgeDelete, stateGet, stateAdvance,
		stateTakeSeen, leaderGet, leaderTake, leaderTakeSeen, leaderBeat, leaderRelease, leaderSettings, standbyBeat, standbyRelease}
	for _, w := range []struct {
		query string
		by    keys
	}{{offlineAll, offlineKeys}, {offlineSince, offlineKeys}, {messageAbove, oldestFirst}, {messageAbove + messageUntil, oldestFirst}, {oldMessages, oldestFirst},
		{memberRows, memberRowKeys}, {chatRows, chatRowKeys}, {announcementsOf, announcementKeys}, {fileUses, fileUseKeys}, {queueHeads, offlineKeys}, {pushWaiting, pushKeys}} {
		queries = append(queries, walkQueries(w.query, w.by)...)
	}
	// Of a whole table or a small part of it: only the first page looks at all.
	for _, w := range []struct {
		query string
		by    keys
	}{{messageTimed + messageUntil, oldestFirst}, {messageTimed, oldestFirst}, {userPresent, userKeys}, {userEvery, userKeys}, {groupEvery, groupKeys}, {walkOffline, offlineRowKeys}, {walkIDs, idKeys}, {walkFormers, formerKeys}} {
		queries = append(queries, walkQueries(w.query, w.by)[1:]...)
	}
	for _, where := range []string{groupWhere, chatWhere, noticeWhere, noticeWhere + ofOneType} {
		queries = append(queries, history(where)...)
	}
	return queries
}

// walkQueries are the first page of a walk, and those behind a row with and without what can be NULL.
func walkQueries(query string, by keys) []string {
	values := make([]string, len(by))
	first, _ := by.from(&sqliteDialect, query, nil)
	queries := []string{first}
	for i := len(by) - 1; i >= 0; i-- {
		if values[i] = "x"; i == 0 || strings.HasSuffix(by[i-1], "?") {
			next, _ := by.from(&sqliteDialect, query, nil, values...)
			queries = append(queries, next)
		}
	}
	return queries
}

// InTheIndex are queries that look at each of many messages and must not fetch their rows. TestLongHistoriesStayInTheIndex asks MySQL.
var InTheIndex = []string{
	historyCount + groupWhere, historyCount + chatWhere, historyCount + noticeWhere, historyCount + noticeWhere + ofOneType,
	`SELECT id_ AS k FROM ofmessage WHERE ` + groupWhere + newestFirst + ` LIMIT 10 OFFSET 1500`,
	`SELECT msg_time, msg_id FROM ofmessage WHERE ` + groupWhere + newestFirst + ` LIMIT 10 OFFSET 1500`,
	`SELECT msg_time, msg_id FROM ofmessage WHERE ` + chatWhere + newestFirst + ` LIMIT 10 OFFSET 1500`,
	`SELECT id_ AS k FROM ofmessage WHERE ` + noticeWhere + ofOneType + newestFirst + ` LIMIT 10 OFFSET 1500`,
}

// walks are the queries of jobs that go through a table on purpose, in pages or because it is small.
var walks = []string{accountsWanted, accountsUnwanted, staleUsers, purgeAll, pushChannels, pushReceivers, userPresent, userEvery, userRobots, groupEvery,
	walkOffline, walkIDs, walkFormers, keysAll, iscUsers, iscInfos, openfireUsers}

// TestEveryQueryIsListed: what is missing above is tested by nobody.
func TestEveryQueryIsListed(t *testing.T) {
	files := token.NewFileSet()
	listed := map[string]bool{}
	this, err := parser.ParseFile(files, "plan_test.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(this, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok {
			listed[id.Name] = true
		}
		return true
	})
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range names {
		// What a dialect asks its server is no query of ours, and the marker of a Scratch has one row.
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "dialect_") || name == "scratch.go" {
			continue
		}
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			first := spec.Values[0]
			for sum, ok := first.(*ast.BinaryExpr); ok; sum, ok = first.(*ast.BinaryExpr) {
				first = sum.X
			}
			if text, ok := first.(*ast.BasicLit); ok && regexp.MustCompile("^`(SELECT|UPDATE|DELETE|INSERT) ").MatchString(text.Value) {
				if found++; !listed[spec.Names[0].Name] {
					t.Errorf("%s: %s is in none of the lists, want it in one", name, spec.Names[0].Name)
				}
			}
			return true
		})
	}
	if found < 100 {
		t.Errorf("got %d queries, want at least 100", found)
	}
}

// TestStatementsArePortable: SQL Server and Oracle join by a dialect alone, so no statement may use what only SQLite and MySQL
// know, compare with ” (NULL on Oracle), or take more values than SQL Server does.
func TestStatementsArePortable(t *testing.T) {
	foreign := regexp.MustCompile("(?i)\\b(LIMIT|OFFSET|RETURNING|ON CONFLICT|ON DUPLICATE|IGNORE|REPLACE|IFNULL|TRUE|FALSE|AUTOINCREMENT|ROWID|REGEXP|GLOB)\\b|''|\"|`|\\|\\||\\) *(<|>|=|IN) *\\(\\?")
	const maxValues = 2098 // of SQL Server
	for _, q := range append(everyQuery(), walks...) {
		if found := foreign.FindString(q); found != "" {
			t.Errorf(`%q in: %s, want ""`, found, q)
		}
		// Columns of two character sets: MySQL walks one of the tables, SQL Server refuses.
		if strings.Contains(q, " tlim_") && regexp.MustCompile(` of[a-z]+\b`).MatchString(q) {
			t.Errorf("compares a table of ours with a legacy one, want not: %s", q)
		}
		n := strings.Count(q, "?")
		if strings.Contains(q, "?*") {
			n += slices.Max(listSizes) - 1
		}
		if strings.Contains(q, ")*") {
			n = strings.Count(alternatives(q, slices.Max(pairSizes)), "?")
		}
		if n > maxValues {
			t.Errorf("%d values in: %s, want at most %d", n, q, maxValues)
		}
	}
	for _, tab := range allTables() {
		if n := len(tab.columns) * slices.Max(rowSizes); n > maxValues {
			t.Errorf("%d values in an insert into %s, want at most %d", n, tab.name, maxValues)
		}
	}
	for name := range dialects {
		parts, err := schema(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range parts {
			if len(p.name) > 30 {
				t.Errorf("%s: %d characters, old Oracle servers take 30, want at most 30", p.name, len(p.name))
			}
		}
	}
}

// Dated is dated.
func Dated(kind string) bool { return dated(kind) }
