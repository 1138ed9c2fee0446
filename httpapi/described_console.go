package httpapi

import (
	"slices"

	"tlim/component/protocol"
)

// The parameters and fields of what administrators read.
var (
	languageField = field{name: "language", kind: kind{schema: object{"type": "string", "enum": []string{string(Chinese), string(English)}}, wrong: resultFail}, text: "Of the words; http.language when absent."}
	instant       = kind{schema: object{"type": "integer", "format": "int64", "minimum": 1, "maximum": int64(maxMoment)}, wrong: resultFail}
	cursorField   = field{name: "after", kind: kind{schema: object{"type": "string", "maxLength": maxCursor}}, text: "Only what follows: next of the page before."}
	goOnField     = field{name: "next", kind: words, text: "Send it as after to go on; absent at the end. An answer can hold fewer rows than limit and go on all the same: one call looks at a bounded number of rows."}
	knownField    = field{name: "presence", kind: yesNo, text: "Whether who has no device here is away for sure: the server's list of sessions is there."}
	likeField     = field{name: "text", kind: chars(maxSearch), text: "Only those whose name or id holds this text, in any letter case, or whose name's pinyin initials do."}

	onlineField = field{name: "online", kind: rows, each: "OnlineDevice", text: "Their devices that are there now.", of: []field{
		{name: "class", kind: words, text: "web, android, ios or other, by the mark in the resource."},
		{name: "resource", kind: words, text: "The resource of the device's address."},
		{name: "show", kind: words, text: "away, xa, dnd or chat; absent for available."},
		{name: "since", kind: moments, text: "When tlim learned of it, in epoch milliseconds."}}}

	watchedUser = []field{
		{name: "acct_login", kind: words, text: "Login."},
		{name: "confirms", kind: words, text: "How their phones have confirmed messages: nothing, receipts or pings."},
		{name: "last_message", kind: moment, text: "When a 1:1 conversation of theirs moved last, in epoch milliseconds; absent when none has."},
		{name: "learned", kind: yesNo, text: "Whether they were only seen, and not named by addUser or a table of users."},
		{name: "left", kind: yesNo, text: "Whether they have left the directory."},
		onlineField, robotMark,
		{name: "user_id", kind: words, text: "User id."},
		{name: "user_name", kind: words, text: "Name."}}

	watchedGroup = []field{
		{name: "closed", kind: yesNo, text: "Whether it is closed in the web list."},
		{name: "created", kind: moment, text: "When it was made, in epoch milliseconds."},
		{name: "last_message", kind: moment, text: "When its newest message was, in epoch milliseconds; absent when it has none."},
		{name: "members", kind: number, text: "How many members it has."},
		groupID, groupName, groupType, groupUser}

	partFields = []field{
		{name: "ok", kind: yesNo, text: "Whether it works."},
		{name: "since", kind: moment, text: "Since when it is so, in epoch milliseconds."},
		{name: "state", kind: words, text: "A word for programs."},
		{name: "text", kind: words, text: "A sentence for people: what is wrong, and what to do."}}

	linkFields = []field{
		{name: "moved", kind: words, text: "Why it left the server of xmpp.server that it went to before; absent when it never did."},
		partFields[0],
		{name: "server", kind: words, text: "The server of xmpp.server that it goes to, or went to last."},
		{name: "server_since", kind: moment, text: "Since when it goes to that server, in epoch milliseconds."},
		partFields[1], partFields[2], partFields[3]}

	pushTargets = field{name: "to", kind: rows, each: "PushReceiver", text: "The receivers.", of: []field{
		{name: "outcome", kind: words, text: "waits, or what became of it: sent, withdrawn, repeated, dead, unmeant, refused, expired."},
		{name: "user_id", kind: words, text: "User id."}}}
)

func anObject(name, text string, fields ...field) field {
	return field{name: name, kind: whole, text: text, of: fields}
}

// whole is an object of its own, which is always there.
var whole = kind{schema: object{"type": "object"}}

func aMoment(name, text string) field { return field{name: name, kind: moments, text: text} }

// refusedMessages are what was refused.
func refusedMessages(text string) field {
	return field{name: "refused", kind: rows, each: "RefusedMessage", text: text, of: []field{
		aMoment("at", "When, in epoch milliseconds."),
		{name: "code", kind: words, text: "The error code that its sender was told."},
		{name: "msg_from", kind: words, text: "User id of the sender."},
		{name: "msg_id", kind: words, text: "Id of the message, or of its stanza where that could not be read."},
		{name: "msg_to", kind: words, text: "User id of the receiver, or id of the group; absent where it could not be read."},
		{name: "msg_type", kind: words, text: "Its type; likewise."},
		{name: "text", kind: words, text: "Why, in words."}}}
}

var describedConsole = map[string]endpoint{
	"admin/state": {tag: "admin", summary: "Says in one look how the process is", text: "It costs little: a page may ask every 5 seconds.",
		params: []field{languageField},
		answer: []field{
			{name: "component", kind: words, text: "Address of the component."},
			anObject("database", "The database.",
				field{name: "engine", kind: words, text: "Which one it is."},
				field{name: "last_commit", kind: moment, text: "When messages were stored last, in epoch milliseconds, to within 5 seconds; absent when none were since the start."},
				partFields[0], partFields[2], partFields[3],
				field{name: "version", kind: words, text: "As it says itself."}),
			{name: "degraded", kind: yesNo, text: "Whether something is refused or wrong although all parts are ready."},
			{name: "devices", kind: number, text: "Devices that are there."},
			{name: "domain", kind: words, text: "The server's XMPP domain."},
			anObject("link", "The link to the server.", linkFields...),
			{name: "losses", kind: rows, text: "The last 20 losses and returns of link, database and messages, newest first.", of: []field{
				{name: "at", kind: moments, text: "When it was seen, in epoch milliseconds."},
				{name: "back", kind: yesNo, text: "Whether it is back with that."},
				{name: "state", kind: words, text: "What it had become, as state of the part."},
				{name: "text", kind: words, text: "Why, in words."},
				{name: "what", kind: words, text: "link, database, or messages: they were not taken or not delivered."}}},
			anObject("messages", "Whether messages are taken and delivered.", partFields[0], partFields[2], partFields[3]),
			{name: "now", kind: moments, text: "The clock of tlim's host, in epoch milliseconds."},
			{name: "pushes", kind: rows, text: "The ways by which phones are woken.", of: []field{
				{name: "channel", kind: words, text: "Its name."},
				{name: "failing", kind: yesNo, text: "Whether no push goes out by it now."},
				{name: "text", kind: words, text: "Why, as its vendor or the network said it last."},
				{name: "waiting", kind: number, text: "Pushes that wait."}}},
			anObject("queue", "How much waits in the process.",
				field{name: "backlog", kind: number, text: "Copies of stored messages that wait for the server to route others."},
				field{name: "in_flight", kind: number, text: "Copies handed to the server that it is not known to have routed."},
				field{name: "rows_due", kind: number, text: "Offline messages that are still to be written."},
				field{name: "unconfirmed", kind: number, text: "Copies sent to phones that nothing proves to be received."},
				field{name: "waiting", kind: number, text: "Messages that wait to be stored."}),
			{name: "ready", kind: yesNo, text: "As /readyz has it."},
			{name: "reasons", kind: texts, text: "Why it is not ready."},
			{name: "samples", kind: rows, text: "One every 5 seconds of the last 15 minutes, oldest first.", of: []field{
				{name: "at", kind: moments, text: "When, in epoch milliseconds."},
				{name: "commit_ms_p99", kind: real, text: "How long 99 of 100 commits took at most, in milliseconds, about; 0 when there was none."},
				{name: "commits", kind: real, text: "Transactions with messages, a second."},
				{name: "deliveries", kind: real, text: "Copies, a second."},
				{name: "messages", kind: real, text: "Messages taken in, a second."},
				{name: "queue", kind: number, text: "Messages that waited to be stored."},
				{name: "sessions", kind: number, text: "Devices that were there."}}},
			{name: "server", kind: words, text: "Host and port of the server."},
			{name: "started", kind: moments, text: "When the process started, in epoch milliseconds."},
			anObject("totals", "Counted since the start, to within 5 seconds.",
				field{name: "commits", kind: number, text: "Transactions with messages."},
				field{name: "deliveries", kind: number, text: "Copies handed to the server."},
				field{name: "losses", kind: number, text: "Times that the link was lost."},
				field{name: "messages", kind: number, text: "Messages taken in."},
				field{name: "refused", kind: number, text: "Messages refused."}),
			anObject("users", "Where users come from.", partFields[0], partFields[2], partFields[3]),
			{name: "version", kind: words, text: "Version of tlim."},
			{name: "warnings", kind: texts, text: "What is wrong although it works, the worst first."}}},
	"admin/users": {tag: "admin", summary: "Lists users, and who of them is there",
		text:   "Ordered by id, with those who left. The devices are those known now.",
		params: []field{likeField, afterField, limitField},
		answer: []field{goOnField, knownField, {name: "users", kind: rows, each: "WatchedUser", text: "The users.", of: watchedUser}}},
	"admin/user": {tag: "admin", summary: "Shows one user",
		params: []field{user("user_id", "Who."), languageField},
		answer: []field{
			{name: "known", kind: yesNo, text: "Whether anything is known of the user: is the id spelled right?"},
			knownField,
			refusedMessages("Messages from or to the user that were refused lately, newest first: nothing of them is stored."),
			anObject("user", "The user.", slices.Concat(watchedUser, []field{
				{name: "groups", kind: number, text: "Of how many groups they are a member."},
				anObject("push", "How their phone is woken.",
					field{name: "code", kind: words, text: "The registration of their device, but for its middle."},
					field{name: "os", kind: words, text: "android or ios, where it is known."},
					field{name: "registered", kind: yesNo, text: "Whether a device is."}),
				anObject("queue", "What waits for their phone.",
					field{name: "oldest", kind: moment, text: "msg_time of the oldest offline message, in epoch milliseconds."},
					field{name: "unconfirmed", kind: number, text: "Messages that are in memory alone: sent and not confirmed, or rows to be written."},
					field{name: "waiting", kind: number, text: "Offline messages."}),
				{name: "tokens_ended", kind: number, text: "How often all their tokens were ended."},
				{name: "user_email", kind: words, text: "Mail address."}})...)}},
	"admin/groups": {tag: "admin", summary: "Lists groups", text: "Ordered by id, with those that are closed.",
		params: []field{{name: "text", kind: chars(maxSearch), text: "Only those whose name, id or owner holds this text, in any letter case, or whose name's pinyin initials do."}, afterField, limitField},
		answer: []field{{name: "groups", kind: rows, each: "WatchedGroup", text: "The groups.", of: watchedGroup}, goOnField}},
	"admin/group": {tag: "admin", summary: "Shows one group and its members",
		params: []field{group("Id of the group."), afterField, limitField},
		answer: []field{anObject("group", "The group.", watchedGroup...),
			{name: "members", kind: rows, text: "Its members, ordered by id.", of: []field{
				onlineField,
				{name: "since", kind: moment, text: "Since when they are a member, in epoch milliseconds."},
				{name: "unconfirmed", kind: number, text: "Messages of all conversations for them that are in memory alone."},
				{name: "user_id", kind: words, text: "User id."},
				{name: "user_name", kind: words, text: "Name."},
				{name: "waiting", kind: number, text: "Offline messages of all conversations that wait for them."}}},
			goOnField, knownField},
		codes: []protocol.Code{protocol.NoSuchGroup}},
	"admin/queue": {tag: "admin", summary: "Lists what waits for a user's phone", text: "Oldest first, without what people wrote. It changes nothing, other than getOffline.",
		params: []field{user("user_id", "Whose queue."), {name: "at", kind: instant, text: "Only what was stored at this time or later, in epoch milliseconds."}, cursorField, limitField},
		answer: []field{goOnField, {name: "queue", kind: rows, text: "What waits.", of: []field{
			{name: "msg_from", kind: words, text: "User id of the sender."},
			{name: "msg_id", kind: words, text: "Id of the message."},
			{name: "msg_time", kind: moment, text: "When it was stored, in epoch milliseconds."},
			{name: "msg_type", kind: words, text: "MTT-*: 1:1, MTS-*: group, MTB-*: business."},
			{name: "session_id", kind: words, text: "The conversation as the user sees it: the partner, the group, or admin."},
			{name: "state", kind: words, text: "row: an offline message; unconfirmed: in memory alone, sent and not confirmed, or a row that is still to be written."},
			{name: "waits_since", kind: moment, text: "When the row was written; where that is not known, and of what is in memory, msg_time."},
			{name: "web_had_it", kind: yesNo, text: "Whether a web client of theirs had it."}}}}},
	"admin/trace": {tag: "admin", summary: "Says what is known of one message, and why a user has it or has not",
		text: "What `tlim trace --json` says, and what is in memory. With user_id it explains in words why the message is on that user's phone or is not.",
		params: []field{messageID("Id of the message."),
			{name: "user_id", kind: userID, text: "Whose phone is in question."},
			{name: "body", kind: bit, text: "1 shows what people wrote."},
			languageField},
		answer: []field{
			{name: "confirmed", kind: rows, text: "Whose phones have it, as far as that is remembered.", of: []field{
				aMoment("at", "When that was known, in epoch milliseconds."),
				{name: "how", kind: words, text: "pings: its library answered; receipt: its app confirmed; getOffline: it was fetched."},
				{name: "user_id", kind: words, text: "Whose phone."}}},
			{name: "cut", kind: texts, text: "Which lists are longer than the 1000 rows that are shown: offline, receipts."},
			{name: "explanation", kind: section, text: "With user_id: what is known, in words.", of: []field{
				{name: "facts", kind: rows, text: "What is known, those with a time first, in its order.", of: []field{
					{name: "at", kind: moment, text: "When, in epoch milliseconds."},
					{name: "text", kind: words, text: "In words; times are those of tlim's host."},
					{name: "what", kind: words, text: "A word for programs: stored, routed, refused, revoked, kind, directory, member, former_member, not_member, group_gone, row, copy, proof, restart, read, push, confirms, devices."}}},
				{name: "text", kind: words, text: "The conclusion, in one sentence."},
				{name: "user_id", kind: words, text: "Whose phone, by canonical id."},
				{name: "verdict", kind: words, text: "The conclusion, for programs. They have it: read, confirmed, fetched, settled. They have it, or it was cleaned up: cleaned. It is no person's: robot. It waits: waits, unconfirmed, not_routed. It did not go to them: not_addressed, not_member, former_member, joined_later, group_gone, sender, foreign, not_queued. It is gone: revoked, removed, unknown. It never was taken: refused. unproved: it went to a device, and nothing proves that it arrived."}}},
			{name: "files", kind: texts, text: "Ids of the files that it names."},
			{name: "known", kind: yesNo, text: "Whether anything is known of this id: else it never came, was refused long ago, is of a kind that is not stored, or was cleaned up."},
			{name: "messages", kind: rows, text: "Its row; several only in tables of the old system.", of: []field{
				{name: "body", kind: words, text: "With body=1: what people wrote."},
				{name: "bytes", kind: number, text: "Length of the body."},
				{name: "foreign", kind: yesNo, text: "Whether another program stored it, which tlim does not deliver."},
				{name: "id_", kind: words, text: "Key of the row."},
				{name: "msg_from", kind: words, text: "User id of the sender."},
				{name: "msg_time", kind: millis, text: "When it was stored, in epoch milliseconds."},
				{name: "msg_to", kind: words, text: "User id of the receiver, or id of the group."},
				{name: "msg_type", kind: words, text: "Its type."},
				{name: "routed", kind: yesNo, text: "Whether the server is known to have routed it."},
				{name: "session_id", kind: words, text: "Id of the group; of a 1:1 message its sender."},
				{name: "settled", kind: yesNo, text: "Whether nothing of it is in memory alone."}}},
			{name: "msg_id", kind: words, text: "Id of the message."},
			{name: "offline", kind: rows, text: "For whom it waits.", of: []field{
				{name: "id_", kind: words, text: "Key of the row."},
				{name: "msg_status", kind: number, text: "1: a web client had it."},
				{name: "since", kind: moment, text: "When the row was written, in epoch milliseconds, where its key tells."},
				{name: "user_id", kind: words, text: "Whose phone."}}},
			{name: "pushes", kind: rows, text: "Its pushes, of the last day.", of: []field{
				{name: "alert", kind: words, text: "With body=1: what it shows, until it is done."},
				{name: "channel", kind: words, text: "By which it leaves."},
				{name: "done", kind: yesNo, text: "Whether it has its outcome."},
				aMoment("due", "When it is due; of one that is done, when that was."),
				aMoment("made", "When it was made, in epoch milliseconds."),
				{name: "title", kind: words, text: "With body=1: its title."},
				pushTargets,
				{name: "tries", kind: number, text: "How often it failed."}}},
			{name: "receipts", kind: rows, text: "Who has read it.", of: []field{
				{name: "reader", kind: words, text: "User id of the reader."},
				{name: "sender", kind: words, text: "User id of the sender."},
				{name: "status", kind: number, text: "1: on the web, 2: on a phone."}}},
			refusedMessages("Attempts to send it that were refused, newest first, as far as that is remembered: of each of the last 1000 senders the last 20."),
			{name: "remembered", kind: rows, text: "What a repeated message is recognised by.", of: []field{
				{name: "conversation", kind: words, text: "The group's id, or both users."},
				{name: "msg_from", kind: words, text: "User id of the sender."},
				{name: "msg_time", kind: millis, text: "When, in epoch milliseconds."},
				{name: "state", kind: words, text: "live or revoked."},
				{name: "what", kind: words, text: "message, or revoke: of a message of this id."}}},
			{name: "unconfirmed", kind: rows, text: "Copies that are in memory and not settled.", of: []field{
				{name: "sent", kind: moment, text: "When it was sent, in epoch milliseconds."},
				{name: "state", kind: words, text: "waits: the server has to route others first; sent; asked: pings are under way; answered: they are, which counts after offline.grace; row: about to become an offline message; follows: its offline message follows, as of large groups."},
				{name: "user_id", kind: words, text: "Whose copy."}}}}},
	"admin/pushes": {tag: "admin", summary: "Lists pushes that wait, fail, or were given up",
		params: []field{{name: "state", kind: kind{schema: object{"type": "string", "enum": []string{pushesWaiting, pushesFailing, pushesFailed}}, wrong: resultFail},
			text: "waiting: all that wait, the next one first. failing (also when absent): those of them that have failed before. failed: those of the last day that were refused, were given up, or whose registration is dead, newest first."}, cursorField, limitField},
		answer: []field{goOnField, {name: "pushes", kind: rows, text: "Rows of the outbox, each for up to 1000 receivers, channel by channel.", of: []field{
			{name: "channel", kind: words, text: "By which it leaves."},
			{name: "done", kind: yesNo, text: "Whether it has its outcome."},
			aMoment("due", "When it is due; of one that is done, when that was."),
			aMoment("made", "When it was made, in epoch milliseconds."),
			{name: "msg_id", kind: words, text: "Id of the message."},
			{name: "msg_type", kind: words, text: "Its type."},
			{name: "outcome", kind: words, text: "waits; mixed: see the receivers; else that of all."},
			{name: "platforms", kind: words, text: "Which phones it is for."},
			{name: "push_id", kind: words, text: "Id of the row."},
			{name: "receivers", kind: number, text: "How many receivers it is about; to names the first 20."},
			pushTargets,
			{name: "tries", kind: number, text: "How often it failed."}}}}},
	"admin/callers": {tag: "admin", summary: "Says who calls, who does so without a key, and which clients never ask for MTC-100", text: "Counted since the start, as `tlim keys usage` has it.",
		answer: []field{
			{name: "calls", kind: rows, text: "By caller.", of: []field{
				{name: "caller", kind: words, text: "The name of the key; user: a user token; anonymous; none: refused before it was known."},
				{name: "calls", kind: number, text: "How many."},
				{name: "endpoint", kind: words, text: "Which endpoint."},
				{name: "status", kind: words, text: "The HTTP status."}}},
			{name: "keyless", kind: rows, text: "Calls without a key of endpoints that want one, the most first.", of: []field{
				{name: "address", kind: words, text: "Where they come from; other: beyond the first 200."},
				{name: "allowed", kind: yesNo, text: "Whether http.allow_anonymous let them in."},
				{name: "calls", kind: number, text: "How many."},
				{name: "endpoint", kind: words, text: "Which endpoint."}}},
			aMoment("since", "Since when it is counted, in epoch milliseconds."),
			{name: "unasked", kind: rows, text: "Messages whose senders asked for no acknowledgement, by class of client (receipts.server: requested).", of: []field{
				{name: "class", kind: words, text: "web, android, ios or other."},
				{name: "clients", kind: number, text: "Users whose client of this class has never asked."},
				{name: "messages", kind: number, text: "How many messages."}}},
			{name: "unasking", kind: rows, text: "Clients that never ask, at most 200, those that sent last first.", of: []field{
				{name: "class", kind: words, text: "web, android, ios or other."},
				{name: "user_id", kind: words, text: "User id."}}}}},
	"admin/config": {tag: "admin", summary: "Shows the configuration in force", text: "As `tlim config show` has it, without any secret, with the source of each key.",
		answer: []field{{name: "file", kind: words, text: "The file that was read; absent when there was none."},
			{name: "keys", kind: rows, text: "All keys.", of: []field{
				{name: "key", kind: words, text: "Its name."},
				{name: "source", kind: words, text: "default, file, environment or command line."},
				{name: "value", kind: words, text: "Its value; a list is YAML."}}}}},
	"admin/doctor": {tag: "admin", summary: "Shows what tlim doctor found last", text: "Those of admin/doctor/run since the start.",
		params: []field{languageField},
		answer: checkFields},
	"admin/doctor/run": {tag: "admin", summary: "Makes the checks of tlim doctor anew", text: "It answers at once, with what was found before; they take up to 30 seconds. Those that are under way go on.",
		params: []field{languageField},
		answer: checkFields},
}

var checkFields = []field{
	{name: "ended", kind: moment, text: "When they ended, in epoch milliseconds; absent when they were not made since the start."},
	{name: "failures", kind: number, text: "Checks that failed."},
	{name: "lines", kind: rows, text: "What was found.", of: []field{
		{name: "id", kind: words, text: "Id of the check."},
		{name: "remedy", kind: words, text: "What to do."},
		{name: "state", kind: words, text: "ok, warning, failure or skipped."},
		{name: "text", kind: words, text: "What was seen."}}},
	{name: "running", kind: yesNo, text: "Whether they are being made."},
	{name: "started", kind: moment, text: "When they began, in epoch milliseconds."},
	{name: "warnings", kind: number, text: "Checks with warnings."}}
