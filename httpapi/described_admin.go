package httpapi

import "tlim/component/protocol"

// Parameters and fields of lists for administrators.
var (
	limitField = field{name: "limit", kind: pageSize, text: "How many rows to answer at most. Absent or empty is 50."}
	afterField = field{name: "after", kind: chars(maxID), text: "Only what follows: next of the page before."}
	nextField  = field{name: "next", kind: words, text: "Send it as after to get the rest; absent at the end."}
)

// What a key has.
var (
	keyName   = field{name: "name", kind: words, text: "Name of the key, as logs, metrics and the audit log have it."}
	keyScopes = field{name: "scopes", kind: texts, text: "What it may call: business, admin."}
	keyRate   = field{name: "rate", kind: real, text: "Calls a second, 0 is no limit."}
	robotID   = field{name: "robot_id", kind: words, text: "As whom it speaks by sendMessage; absent: as nobody."}
	robotName = field{name: "robot_name", kind: words, text: "The name of that robot."}
)

func aKey(text string) field {
	return field{name: "name", kind: oneID, missing: resultFail, text: text}
}

func cleanupRun(text string, more ...field) field {
	return field{name: "run", kind: section, text: text, of: append(more, []field{
		{name: "by", kind: words, text: "The name of the key that began it; absent for a nightly one."},
		{name: "nightly", kind: yesNo, text: "Whether it is a nightly one."},
		{name: "removed", kind: rows, text: "What it has removed so far.", of: []field{
			{name: "rows", kind: number, text: "How many rows; receipts go uncounted with their messages."},
			{name: "table", kind: words, text: "Name of the table."}}},
		{name: "started", kind: moments, text: "When it began, in epoch milliseconds."},
		{name: "state", kind: words, text: "running, stopping, done, stopped or failed."},
		{name: "table", kind: words, text: "The table that it works on."}}...)}
}

var describedAdmin = map[string]endpoint{
	"admin/tokens/revoke": {tag: "admin", summary: "Ends all tokens of a user",
		text:   "At once; their clients ask for new ones over XMPP.",
		params: []field{user("user_id", "Whose tokens end.")},
		answer: []field{{name: "known", kind: yesNo, text: "Whether anything was known of the user before: is the id spelled right?"},
			{name: "user_id", kind: words, text: "The user's canonical id."}}},
	"admin/keys": {tag: "admin", summary: "Lists the keys of the HTTP API", text: "Those of the configuration, then those of the database, oldest first, with those that have ended. No secret is among it.",
		answer: []field{{name: "keys", kind: rows, text: "The keys.", of: []field{
			{name: "can_end", kind: yesNo, text: "Whether admin/keys/end ends it."},
			{name: "ended", kind: moment, text: "When it ended, in epoch milliseconds."},
			{name: "ended_by", kind: words, text: "Who ended it."},
			{name: "in_use", kind: yesNo, text: "Whether calls with it are taken. A key of the database is not while the configuration has one of its name."},
			{name: "made", kind: moment, text: "When it was made, in epoch milliseconds; absent for one of the configuration."},
			{name: "made_by", kind: words, text: "Who made it: the name of a key, or a user of the operating system."},
			keyName, keyRate, keyScopes, robotID, robotName,
			{name: "source", kind: words, text: "config: http.keys; file: http.key_file; database: made by admin/keys/new or tlim keys new."},
			{name: "where", kind: words, text: "Where one of the configuration stands."}}}}},
	"admin/keys/new": {tag: "admin", summary: "Makes a key", text: "It holds at once, in other processes on the same database within seconds. A name is given once: also that of a key that has ended is refused, as is one of the configuration's.",
		params: []field{aKey("Name of the key: up to 64 characters that show, no blanks."),
			{name: "scopes", kind: scopeList, missing: resultFail, text: "What it may call: business, admin, or both with a comma between."},
			{name: "rate", kind: callRate, text: "Calls a second. Absent, empty or 0 is no limit."},
			{name: "robot_id", kind: chars(maxID), wrong: protocol.UserIDInvalid, text: "As whom it speaks by sendMessage: the user id of a robot, which is made. It cannot be that of a person. Absent: as nobody."},
			{name: "robot_name", kind: chars(protocol.MaxRobotName), text: "The robot's name. Absent: its id."}},
		answer: []field{keyName, keyRate, keyScopes, robotID, robotName, {name: "secret", kind: words, text: "The key itself. It is told here alone and kept nowhere."}},
		codes:  []protocol.Code{resultFail}},
	"admin/keys/end": {tag: "admin", summary: "Ends a key", text: "At once, in other processes on the same database within seconds. Those of the configuration end there. One that has ended already is ok.",
		params: []field{aKey("Name of the key.")},
		answer: []field{{name: "ended", kind: moments, text: "When it ended, in epoch milliseconds."}, keyName},
		codes:  []protocol.Code{resultFail}},
	"admin/cleanup": {tag: "admin", summary: "Says what a clean-up would remove, and how far the one under way is", text: "What was counted last in this process, and the clean-up under way or the last one.",
		params: []field{{name: "count", kind: bit, text: "1: counts anew, in the background, and waits 2 s for that. It reads keys and times of the old rows, and of all of some tables."}},
		answer: []field{
			{name: "enabled", kind: yesNo, text: "cleanup.enabled: whether there is a clean-up every night."},
			{name: "counting", kind: yesNo, text: "Whether a count is under way."},
			{name: "count_error", kind: words, text: "Why the last count failed."},
			{name: "counted", kind: section, text: "The last count.", of: []field{
				{name: "at", kind: moments, text: "When it began, in epoch milliseconds."},
				{name: "tables", kind: rows, text: "The tables.", of: []field{
					{name: "kept_days", kind: number, text: "For how many days rows are kept; 0 is for ever."},
					{name: "left_alone", kind: number, text: "Rows of which nobody can say how old they are."},
					{name: "rows", kind: number, text: "Rows that a clean-up would remove."},
					{name: "table", kind: words, text: "Name of the table."}}}}},
			cleanupRun("The clean-up under way, or the last one.",
				field{name: "ended", kind: moment, text: "When it ended, in epoch milliseconds."},
				field{name: "error", kind: words, text: "Why it failed. What it removed until then is gone, and the next one goes on."})}},
	"admin/cleanup/run": {tag: "admin", summary: "Begins a clean-up", text: "As cleanup.* says, whether or not cleanup.enabled is set; in the background, one at a time with the nightly one. admin/cleanup says how far it is.",
		answer: []field{cleanupRun("The clean-up that was begun.")}, codes: []protocol.Code{resultFail}},
	"admin/cleanup/stop": {tag: "admin", summary: "Stops the clean-up under way", text: "Also a nightly one. It answers when the transaction under way has ended. Without one it is ok, too. What is left is for the next one."},
	"admin/notices": {tag: "admin", summary: "Lists the notices that were pushed, and how far they are", text: "Newest first, as long as message ids are kept (cleanup.ids). findNotice says it receiver by receiver. A page may be shorter than limit: it ends where next is absent.",
		params: []field{afterField, limitField},
		answer: []field{nextField, {name: "notices", kind: rows, text: "The calls of approval, approvalBack and systemMessage.", of: []field{
			{name: "call_id", kind: words, text: "Id of the call."},
			{name: "caller", kind: words, text: "The name of the key that called."},
			{name: "delivered", kind: number, text: "Of those stored, how many do not wait for their phone as an offline message (any more)."},
			{name: "msg_type", kind: words, text: "MTB-000: approval, MTB-001: approvalBack, MTB-100: systemMessage."},
			{name: "open", kind: yesNo, text: "Whether some receivers are still to be served."},
			{name: "pushed", kind: number, text: "To how many a push went out, as far as that is remembered: a day."},
			{name: "read", kind: number, text: "How many have read it."},
			{name: "receivers", kind: number, text: "How many receivers the call has."},
			{name: "reminded", kind: moment, text: "When they were last reminded, in epoch milliseconds."},
			{name: "stored", kind: number, text: "How many messages are there: not to be made yet, revoked or cleaned up."},
			{name: "time", kind: moments, text: "When it was called, in epoch milliseconds."},
			{name: "title", kind: words, text: "title or docTitle of the notice; absent when it has none, or its first message is gone."}}}}},
	"admin/notices/remind": {tag: "admin", summary: "Reminds those who have not read a notice, by another push",
		text:   "At most once a minute for one notice (else HTTP 429). Who has had a push of it within 3 minutes gets none. The pushes are kept in the database until they leave, as others are; one is withdrawn when its message is read or revoked before.",
		params: []field{{name: "call_id", kind: oneID, missing: resultFail, text: "Id of the call."}},
		answer: []field{
			{name: "dropped", kind: number, text: "Who got none because too many pushes wait already."},
			{name: "read", kind: number, text: "Who have read it."},
			{name: "recent", kind: number, text: "Whose push waits, or went out within the last 3 minutes."},
			{name: "reminded", kind: number, text: "Who get another push."},
			{name: "removed", kind: number, text: "Whose message was revoked or cleaned up."},
			{name: "unreachable", kind: number, text: "Who have left, or whose phone is not registered for pushes."}},
		codes: []protocol.Code{resultFail}},
	"admin/audit": {tag: "admin", summary: "Lists what administrators have changed", text: "By endpoints of this group and by commands, newest first, with refused attempts of callers who have a key (of one at one endpoint one a minute). Kept for 400 days, where clean-up runs.",
		params: []field{afterField, limitField},
		answer: []field{nextField, {name: "events", kind: rows, text: "What was done.", of: []field{
			{name: "address", kind: words, text: "Where the call came from; command line: a command of tlim on its host."},
			{name: "audit_id", kind: words, text: "Id of the event."},
			{name: "detail", kind: words, text: "For people: with what, or why not."},
			{name: "outcome", kind: words, text: "done; begun: it is under way, or the process ended in it; refused: nothing was changed; failed: it may be changed in part; stopped."},
			{name: "target", kind: words, text: "What was changed: a user, a key, a call."},
			{name: "time", kind: moments, text: "When it began, in epoch milliseconds."},
			{name: "what", kind: words, text: "The endpoint behind admin/, which the command has too."},
			{name: "who", kind: words, text: "The name of the key; of a command the user of the operating system."}}}}},
	"admin/events": {tag: "admin", summary: "Lists events for the business system that wait, fail, or were given up", text: "In the order in which they happened, without what they tell.",
		params: []field{{name: "state", kind: kind{schema: object{"type": "string", "enum": []string{EventsWaiting, EventsFailing, EventsDead}}, wrong: resultFail},
			text: "waiting: all that wait. failing: those of them that have failed before. dead (also when absent): those that were given up."}, afterField, limitField},
		answer: []field{nextField, {name: "events", kind: rows, text: "Rows of the outbox.", of: []field{
			{name: "conversation", kind: words, text: "Events of one arrive in order: two users, a group, or a user."},
			{name: "dead", kind: yesNo, text: "Whether it was given up."},
			{name: "due", kind: moments, text: "When it is tried again, in epoch milliseconds; of a dead one, when it was given up."},
			{name: "event_id", kind: words, text: "Its id, which the receiver sees."},
			{name: "kind", kind: words, text: "message.stored and so on."},
			{name: "made", kind: moments, text: "When it happened, in epoch milliseconds."},
			{name: "reason", kind: words, text: "Why it failed last."},
			{name: "tries", kind: number, text: "How often it failed while others were taken."}}}}},
	"admin/events/replay": {tag: "admin", summary: "Sends dead events again", text: "One, or all, at most 10000 with one call. They keep their ids.",
		params: []field{{name: "event_id", kind: kind{schema: object{"type": "string", "maxLength": maxID}}, text: "Which one; or all."},
			{name: "all", kind: bit, text: "1: all that are dead."}},
		answer: []field{{name: "left", kind: number, text: "How many are dead still."}, {name: "replayed", kind: number, text: "How many wait again."}},
		codes:  []protocol.Code{resultFail}},
}
