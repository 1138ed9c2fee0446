package httpapi

import (
	"maps"

	"tlim/component/protocol"
)

// described is what the document says of each endpoint, by the path of its route.
var described = func() map[string]endpoint {
	all := map[string]endpoint{}
	for _, part := range []map[string]endpoint{describedGroups, describedMessages, describedDevices, describedBusiness, describedAdmin, describedConsole, describedFiles} {
		maps.Copy(all, part)
	}
	return all
}()

// The tags, in the order of the document.
var tags = []struct{ name, text string }{
	{"groups", "Sessions (groups), their members and announcements."},
	{"messages", "Histories, who has read what, erasing."},
	{"devices", "What waits for a user's devices, and how they are woken."},
	{"business", "What the business suite sends, and the user directory."},
	{"admin", "For administrators and their scripts, by a key with the scope admin alone: http.allow_anonymous opens none of them. What changes something takes POST only, and stands in the audit log."},
	{"files", "Up- and downloads. Each path is served below /plugins/tlim and the prefixes of files.prefixes as well. Downloads answer POST, too."},
	{"dropped", "Endpoints of document 1.3 that are gone."},
}

// Parameters that many endpoints have.
var (
	startField  = field{name: "start", kind: count, text: "How many rows to skip. Absent or empty is 0."}
	lengthField = field{name: "length", kind: length, text: "How many rows to answer; 2147483647 is all. Absent, empty or 0 answers none, and the total."}
	beforeField = field{name: "before", kind: place, text: "Instead of start: only messages before <msg_time>,<msg_id>, from the last row of the page before. Costs the same at any depth."}
	searchField = field{name: "text", kind: chars(maxSearch), text: "Only messages that hold this text, in any letter case. One call looks at a bounded number of messages; when next is answered, send it as before to go on."}
)

func group(text string) field {
	return field{name: "session_id", kind: oneID, missing: protocol.GroupIDEmpty, text: text}
}

func user(name, text string) field {
	return field{name: name, kind: userID, missing: protocol.UserIDInvalid, text: text}
}

// userIDOld is what some clients write.
var userIDOld = field{name: "userId", kind: userID, older: true, text: "Accepted for user_id."}

// messageFields are those of a message in a history.
var messageFields = []field{
	{name: "body", kind: words, text: "A string that holds JSON, or an encrypted or compressed body as it was sent."},
	{name: "compress", kind: words, text: "The flag of the message's envelope, when it was not 0."},
	{name: "encrypt", kind: words, text: "The flag of the message's envelope, when it was not 0."},
	{name: "id_", kind: words, text: "Key of the row."},
	{name: "msg_from", kind: words, text: "User id of the sender."},
	{name: "msg_id", kind: words, text: "Id of the message."},
	{name: "msg_time", kind: millis, text: "When it was sent, in epoch milliseconds."},
	{name: "msg_to", kind: words, text: "User id of the receiver, or id of the group."},
	{name: "msg_type", kind: words, text: "MTT-*: 1:1, MTS-*: group, MTB-*: business."},
	{name: "session_id", kind: words, text: "Id of the group; of a 1:1 message its sender."},
}

// The fields of a group.
var (
	groupID      = field{name: "session_id", kind: words, text: "Id of the group."}
	groupName    = field{name: "session_name", kind: words, text: "Name of the group."}
	groupType    = field{name: "session_type", kind: number, text: "Type of the group, as addSession gave it; 99: a 1:1 conversation, 100: notices."}
	groupUser    = field{name: "session_user", kind: words, text: "User id of the owner."}
	groupPic     = field{name: "session_pic", kind: words, text: "Address of the picture."}
	groupValid   = field{name: "session_valid", kind: number, text: "0: open, 1: closed."}
	groupCreated = field{name: "session_create_time", kind: millis, text: "When it was made, in epoch milliseconds."}
	groupMoved   = field{name: "session_modify_time", kind: millis, text: "When it was last changed, in epoch milliseconds."}
)

// skippedField are those of the call's list who were left out; reasons are the words that its endpoint has for it.
func skippedField(reasons string) field {
	return field{name: skippedName, kind: rows, each: "Skipped", text: "Who was left out; empty when nobody was. Also in the refusal of a call that names nobody else. The reasons: " + reasons + ".", of: []field{
		{name: "reason", kind: words, text: "Why, for programs."},
		{name: "user_id", kind: words, text: "As the call wrote it."}}}
}

// skippedName is that of the list.
const skippedName = "skipped"

// Why somebody is left out, for the document.
const (
	skippedOfGroups = "unknown: the directory does not have this user, and the server has no such account; left: has left the directory (removeUser, or the source of users); reserved: admin; missing: an entry without a user_id"
	skippedOfEdits  = skippedOfGroups + "; type: neither add nor del; full: of a refused call, the group would have too many members"
	skippedOfCalls  = "unknown: the directory does not have this user, and the server has no such account; left: has left the directory, and has no account any more; empty: a group, or @all, in which there is nobody"
)

// total is how many rows there are, whatever part of them is answered.
var totalField = field{name: "total", kind: number, text: "How many rows there are in all."}
