package httpapi

import "tlim/component/protocol"

var memberRows = field{name: "subscribers", kind: rows, each: "Member", text: "The members.", of: []field{
	{name: "acct_login", kind: words, text: "Login name."},
	{name: "pic", kind: words, text: "Address of the picture."},
	robotMark,
	groupID,
	{name: "ts", kind: millis, text: "Since when, in epoch milliseconds."},
	{name: "user_id", kind: words, text: "User id."},
	{name: "user_name", kind: words, text: "Name."},
}}

var postFields = []field{
	{name: "title", kind: chars(maxName), text: "Title; may be empty when there is a content."},
	{name: "content", kind: chars(maxContent), text: "Text; may be empty when there is a title."},
}

var postID = field{name: "id_", kind: oneID, missing: resultFail, text: "Id of the announcement."}

var describedGroups = map[string]endpoint{
	"addSession": {tag: "groups", summary: "Makes a group",
		text: "A user whom the directory does not have is looked for on the server, for some seconds at most, and taken unless that says that there is no such account. The answer lists those taken and, in skipped, those left out; one named twice is taken once. The owner is a member only when listed. The name is the members' names joined by commas, cut at 200 characters. A group of more than limits.group_members is refused (error-012), and so is one more than limits.groups_per_user of one owner, unless the caller has a key.",
		params: []field{
			{name: "session_type", kind: int32s, missing: protocol.GroupTypeInvalid, wrong: protocol.GroupTypeInvalid, text: "Type of the group, a number from 0."},
			{name: "request_user", kind: userID, missing: protocol.GroupOwnerInvalid, wrong: protocol.GroupOwnerInvalid, text: "User id of the owner; may be one that the directory does not know yet."},
			{name: "subscribers", kind: objects, missing: protocol.NotArray, wrong: protocol.NotArray, text: "The members.", of: []field{
				{name: "user_id", kind: userID, text: "User id."}, userIDOld}},
		},
		answer: []field{groupCreated, groupID, groupName, groupType, groupUser, skippedField(skippedOfGroups),
			{name: "subscribers", kind: rows, each: "TakenMember", text: "The members that were taken.", of: []field{{name: "user_id", kind: words, text: "User id."}}}},
		codes: []protocol.Code{protocol.GroupNotCreated}},
	"modifySession": {tag: "groups", summary: "Renames a group, adds and removes members",
		text: "Either session_name or subscribers has to say what to change. A user to be added whom the directory does not have is looked for as addSession does; skipped names those left out. A call by which a group would grow beyond limits.group_members is refused (error-012) and changes nothing. To remove somebody who is no member is ok.",
		params: []field{group("Id of the group."),
			{name: "session_name", kind: chars(maxName), text: "New name."},
			{name: "subscribers", kind: objects, text: "Members to add and to remove; of several entries for one user the last one counts.", of: []field{
				{name: "user_id", kind: userID, text: "User id."}, userIDOld,
				{name: "type", kind: chars(maxName), text: "add or del. del removes the member, not its messages."}}},
		},
		answer: []field{groupID, groupMoved, skippedField(skippedOfEdits)},
		codes:  []protocol.Code{protocol.GroupNameEmpty, protocol.NoSuchGroup}},
	"deleteSession": {tag: "groups", summary: "Deletes a group and its member list",
		text:   "Its messages stay and nobody is told. One that is gone already is ok.",
		params: []field{group("Id of the group.")},
		answer: []field{groupID, {name: "session_delete_time", kind: millis, text: "When it was deleted, in epoch milliseconds."}}},
	"dissolved": {tag: "groups", summary: "Dissolves a group",
		text:   "The members are told; its messages, receipts and announcements are removed afterwards. One that is gone already is ok.",
		params: []field{group("Id of the group.")}, answer: []field{groupID}},
	"updateSessionPic": {tag: "groups", summary: "Sets the picture of a group",
		params: []field{group("Id of the group."), {name: "session_pic", kind: chars(maxName), text: "Address of the picture; empty removes it."}},
		answer: []field{groupID, groupPic}},
	"switchSession": {tag: "groups", summary: "Opens or closes a group in the web list",
		params: []field{group("Id of the group."), {name: "session_valid", kind: bit, text: "0 opens (also when absent), 1 closes."}}},
	"findSessions": {tag: "groups", summary: "Lists the open groups of a user", text: "Without 1:1 conversations (type 99).",
		params: []field{user("user_id", "Whose groups.")},
		answer: []field{{name: "sessions", kind: rows, each: "Session", text: "The groups.", of: []field{groupID, groupName, groupPic, groupType, groupUser}}}},
	"findWebSessions": {tag: "groups", summary: "Lists the conversations of a user, for the web client",
		text: "Closed groups, or open ones and the 1:1 conversations: type 99, session_id is the partner. Whoever has system messages also gets one row systemMessage of type 100.",
		params: []field{user("user_id", "Whose conversations."),
			{name: "valid", kind: bit, text: "0: open ones (also when absent), 1: closed groups."}},
		answer: []field{{name: "sessions", kind: rows, each: "WebSession", text: "The conversations.",
			of: []field{{name: "robot", kind: mark, text: "true: the partner of a 1:1 conversation is a robot. Absent otherwise."}, groupCreated, groupID, groupMoved, groupName, groupPic, groupType, groupUser, groupValid}}}},
	"findSession": {tag: "groups", summary: "Answers a group and its members",
		params: []field{group("Id of the group.")}, codes: []protocol.Code{protocol.NoSuchGroup},
		answer: []field{groupCreated, groupID, groupName, groupType, groupUser, groupValid, memberRows}},
	"findSubscribers": {tag: "groups", summary: "Lists the members of a group",
		params: []field{group("Id of the group.")}, codes: []protocol.Code{protocol.NoSuchGroup},
		answer: []field{groupID, groupName, groupType, groupUser, memberRows}},
	"findPresence": {tag: "groups", summary: "Says which members of a group are online", text: "Of a group that is not there they are none. A call without a JSON body gets the bare array of members.", bare: true,
		params: []field{group("Id of the group.")},
		answer: []field{{name: "members", kind: rows, each: "Presence", text: "The members.", of: []field{
			{name: "status", kind: words, text: "available, away or offline."}, {name: "user_id", kind: words, text: "User id."}}}}},
	"addPubact": {tag: "groups", summary: "Posts an announcement to a group",
		params: append([]field{group("Id of the group."), user("user_id", "Who posts.")}, postFields...),
		codes:  []protocol.Code{protocol.BodyEmpty, protocol.NoSuchGroup}},
	"findPubactList": {tag: "groups", summary: "Lists the announcements of a group", streamed: true,
		params: []field{group("Id of the group.")}, codes: []protocol.Code{protocol.NoSuchGroup},
		answer: []field{{name: "pubactList", kind: rows, each: "Pubact", text: "The announcements.", of: []field{
			{name: "content", kind: words, text: "Text."}, {name: "id_", kind: words, text: "Id of the announcement."}, groupID,
			{name: "title", kind: words, text: "Title."}, {name: "ts", kind: millis, text: "When it was posted, in epoch milliseconds."},
			{name: "user_id", kind: words, text: "Who posted it."}}}}},
	"modifyPubact": {tag: "groups", summary: "Changes an announcement", text: "What is absent stays as it is; one of title and content is needed.",
		params: append([]field{postID}, postFields...), codes: []protocol.Code{protocol.BodyEmpty, resultFail}},
	"deletePubact": {tag: "groups", summary: "Deletes an announcement", text: "One that is gone already is ok.",
		params: []field{postID}},
}
