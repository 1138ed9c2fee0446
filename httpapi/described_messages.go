package httpapi

import (
	"fmt"
	"slices"

	"tlim/component"
	"tlim/component/protocol"
)

var (
	messageList = field{name: "message_list", kind: rows, each: "Message", text: "The messages, newest first.", of: messageFields}
	nextPlace   = field{name: "next", kind: words, text: "Of a search: where it stopped. Send it as before to go on; absent when it is at the end."}
	readerCount = field{name: "messageReadList", kind: rows, each: "ReaderCount", text: "The messages that somebody has read.", of: []field{
		{name: "msg_id", kind: words, text: "Id of the message."}, {name: "readNum", kind: number, text: "How many have read it."}}}
)

func messageID(text string) field {
	return field{name: "msg_id", kind: oneID, missing: protocol.IDConflict, text: text}
}

// robotMark says of users which are no people.
var robotMark = field{name: "robot", kind: mark, text: "true: a robot, as whom a key of the API speaks. Absent for people."}

func dropped(successors string) endpoint {
	return endpoint{tag: "dropped", summary: "Dropped: use " + successors, text: "Always answers HTTP 410."}
}

var describedMessages = map[string]endpoint{
	"sendMessage": {tag: "messages", summary: "Sends a chat message as the robot of the caller's key",
		text: "To a user or to a group in which the robot is a member. It is a message like a person's: stored, delivered, queued, pushed, revocable. A call with the msg_id or the key of an earlier one that is the same is answered as that was and sends nothing.",
		params: []field{{name: "to", kind: chars(maxID), wrong: protocol.UserIDInvalid, text: "Id of the user; or session_id."}, {name: "session_id", kind: chars(maxID), text: "Id of the group; or to."},
			{name: "type", kind: kind{schema: object{"type": "string", "enum": []string{"text", "picture", "file", "voice", "revoke"}}, wrong: resultFail}, text: "What the content is. Absent: text."},
			{name: "content", kind: chars(maxSpeech), missing: protocol.BodyEmpty, text: "The text; the id of the file; the id of the message that is revoked."},
			{name: "msg_id", kind: chars(maxID), text: "The caller's own id of the message, a UUID; absent: one is made."},
			{name: keyParameter, kind: callKey, text: "Instead of msg_id: what a repeated call has in common with the first, also as header " + keyHeader + ". Remembered as message ids are (cleanup.ids, 30 days). With both, msg_id counts."}},
		answer: []field{{name: "msg_id", kind: words, text: "Id of the message."}, {name: "msg_time", kind: millis, text: "When it was stored, in epoch milliseconds."}},
		codes:  []protocol.Code{protocol.IDConflict, protocol.NoSuchGroup, protocol.NotAllowed}},
	"findSessionHistory": {tag: "messages", summary: "Pages through the messages of a group", streamed: true,
		params: []field{group("Id of the group."), startField, lengthField, beforeField, searchField},
		answer: []field{messageList, nextPlace, groupID, totalField}, codes: []protocol.Code{protocol.NoSuchGroup}},
	"findChatHistory": {tag: "messages", summary: "Pages through the 1:1 messages of two users, both directions", streamed: true,
		params: []field{user("session_id", "User id of the partner."), user("user_id", "User id of the asker."), startField, lengthField, beforeField, searchField},
		answer: []field{messageList, nextPlace, {name: "session_id", kind: words, text: "The partner."}, totalField}},
	"findSystemHistory": {tag: "messages", summary: "Pages through the notices to a user", streamed: true,
		params: []field{user("msg_to", "Whose notices."), startField, lengthField, beforeField,
			{name: "type", kind: kind{schema: object{"type": "string", "maxLength": maxTime, "enum": []string{"MTB", component.NoticeSystem}}, wrong: resultFail},
				text: "MTB-100: system messages (also when absent), MTB: all notices."}},
		answer: []field{{name: "message_list", kind: rows, each: "SystemMessageRow", text: "The notices, newest first.", of: slices.Concat(messageFields[:1], messageFields[3:])}, totalField}},
	"clearChatHistory": {tag: "messages", summary: "Deletes the 1:1 messages of two users, both directions, for both",
		params: []field{user("user_id", "One of the two."), user("other_id", "The other one.")}},
	"revokeMessage": {tag: "messages", summary: "Deletes a message (deprecated)", text: "Nobody is told. Clients revoke by MTT-101 and MTS-101 instead.",
		params: []field{messageID("Id of the message.")}, codes: []protocol.Code{resultFail}},
	"findSessionRead": {tag: "messages", summary: "Counts the readers of the messages of a group", streamed: true,
		params: []field{group("Id of the group."), user("sender", "Whose messages."), startField, lengthField, beforeField},
		answer: []field{readerCount}, codes: []protocol.Code{protocol.NoSuchGroup}},
	"findChatRead": {tag: "messages", summary: "Says which 1:1 messages were read", streamed: true,
		params: []field{user("msg_from", "Whose messages."), user("msg_to", "To whom."), startField, lengthField, beforeField},
		answer: []field{readerCount}},
	"findStatusList": {tag: "messages", summary: "Lists who has read a message, or who has not",
		params: []field{messageID("Id of the message."), user("sender", "Who sent it."),
			{name: "unread", kind: bit, text: "1: those who have not read it, as rows of status 0."}},
		answer: []field{{name: "ofStatusList", kind: rows, each: "ReadStatus", text: "One row per reader.", of: []field{
			{name: "id_", kind: words, text: "Key of the row; absent for who has not read it."}, {name: "msg_id", kind: words, text: "Id of the message."},
			{name: "reader", kind: words, text: "User id of the reader."}, {name: "sender", kind: words, text: "User id of the sender."},
			{name: "status", kind: number, text: "The status that the reader's receipt gave; 0: not read."}}}},
		codes: []protocol.Code{resultFail}},
	"updateMsgStatus":   dropped("findSessionRead, findChatRead, findStatusList"),
	"findReadMsg":       dropped("findSessionRead"),
	"findChatReadMsg":   dropped("findChatRead"),
	"findMsgStatusList": dropped("findStatusList"),
}

var describedDevices = map[string]endpoint{
	"getOffline": {tag: "devices", summary: "Answers what waits for a user, oldest first, and clears it", streamed: true,
		text: "Exactly the rows that this answer holds are cleared, after it was written. A client that wants no row lost with a broken answer keeps them (getThenClear=1) and names in its next call what it has (clear).",
		params: []field{user("user_id", "Whose queue."),
			{name: "msg_id", kind: chars(maxID), text: "Only messages not older than this one; ignored when it is unknown."},
			{name: "limit", kind: count, text: "At most so many rows. Absent, empty or 0 answers all."},
			{name: "getThenClear", kind: anyText, text: "1 keeps the rows, anything else clears them."},
			{name: "clear", kind: ids, text: "Ids of messages to clear first, each of at most 64 characters."}},
		answer: []field{{name: "message_list", kind: rows, each: "WaitingMessage", text: "The messages, oldest first.", of: append([]field{
			{name: "delete_user", kind: words, text: "Whose queue the row is in."},
			{name: "msg_status", kind: number, text: "0, or what an old row says."}}, messageFields...)}},
		codes: []protocol.Code{protocol.TooLarge, protocol.NotJSON, protocol.IDConflict}},
	"hasUnread": {tag: "devices", summary: "Says whether something other than receipts waits for a user",
		params: []field{user("user_id", "Whose queue.")},
		answer: []field{{name: "data", kind: yesNo, text: "Whether something waits."}}},
	"findUnread": {tag: "devices", summary: "Counts what waits for a user in each conversation",
		params: []field{user("user_id", "Whose queue.")},
		answer: []field{totalField, {name: "unreadList", kind: rows, each: "Unread", text: "The conversations, the newest first.", of: []field{
			{name: "msg_time", kind: millis, text: "Of the newest message, in epoch milliseconds."},
			{name: "session_id", kind: words, text: "Id of the group, or of the partner; admin for notices."}, groupType,
			{name: "unread", kind: number, text: "How many messages wait."}}}}},
	"syncMessage": {tag: "devices", summary: "Answers the messages to a user since one that is named, that one included", text: "None when it is unknown.", streamed: true,
		params: []field{user("msg_to", "Whose messages."), messageID("Since which message.")},
		answer: []field{{name: "messageList", kind: rows, each: "SyncedMessage", text: "The messages, oldest first.", of: []field{
			messageFields[0], messageFields[4], messageFields[5], messageFields[6], messageFields[7], messageFields[8]}}}},
	"registerAppPushCode": {tag: "devices", summary: "Registers a phone for pushes",
		params: []field{user("user_id", "Whose phone."),
			{name: "registrationId", kind: chars(maxCode), missing: resultFail, blank: true, text: "The registration that the push service gave. Has to be sent; empty unregisters."}}},
	"addStyle": {tag: "devices", summary: "Keeps a setting of a user's display",
		params: []field{user("user_id", "Whose setting."),
			{name: "style_name", kind: oneID, missing: resultFail, text: "Name of the setting."},
			{name: "style_value", kind: int32s, text: "Its value. Absent or empty is 0."}}},
	"findUsers": {tag: "devices", summary: "Lists and searches users",
		text: "In the order of ids, without who has left. What the holder of a user token finds says http.find_users: everybody, or those with whom they share a group or a 1:1 conversation, or nobody (HTTP 403).",
		params: []field{
			{name: "text", kind: chars(maxSearch), text: "Only users whose name, id or login holds this text, in any letter case, or whose name's pinyin has these initials (zs: 张三). Absent or empty: all."},
			{name: "after", kind: chars(maxID), text: "Only users behind this id: the next of the answer before."},
			{name: "length", kind: length, text: fmt.Sprintf("How many users to answer, %d at most; a larger number is as many. Absent, empty or 0 answers none.", maxFoundUsers)}},
		answer: []field{{name: "next", kind: words, text: "Where this call stopped. Send it as after to go on; absent when it is at the end. One call looks at a bounded number of users, so that it may come with few of them, or none."},
			{name: "users", kind: rows, each: "User", text: "The users.", of: []field{
				{name: "acct_login", kind: words, text: "Login name."}, {name: "pic", kind: words, text: "Address of the picture."}, robotMark,
				{name: "user_id", kind: words, text: "User id."}, {name: "user_name", kind: words, text: "Name."}}}}},
	"findUserPresence": {tag: "devices", summary: "Says which of these users are online",
		text:   "Of those whom the caller finds with findUsers; others are left out. Who shares a group is asked for with findPresence.",
		params: []field{{name: "user_ids", kind: ids, text: "Ids of users: separated by commas, repeated, or a JSON array."}},
		answer: []field{{name: "presence", kind: rows, text: "The users, in the order of the parameter.", of: []field{
			{name: "status", kind: words, text: "available, away or offline."}, {name: "user_id", kind: words, text: "User id, as it was asked for."}}}},
		codes: []protocol.Code{protocol.UserIDInvalid, protocol.NotJSON, protocol.TooLarge}},
	"findStyleList": {tag: "devices", summary: "Lists the settings of a user's display",
		params: []field{user("user_id", "Whose settings.")},
		answer: []field{{name: "ofStyleList", kind: rows, each: "Style", text: "The settings.", of: []field{
			{name: "style_id", kind: words, text: "Key of the row."}, {name: "style_name", kind: words, text: "Name of the setting."},
			{name: "style_value", kind: number, text: "Its value."}, {name: "user_id", kind: words, text: "Whose setting."}}}}},
}
