package httpapi

import "tlim/component/protocol"

const receiversText = "User ids of the receivers. @session:<id> is the members of a group, @all everybody. Each gets one message; who is not in the directory and has no account on the server is left out and named in skipped, and msgTo that names nobody else is error-008; more than 500 are committed in slices of 500."

func notice(summary, each string, content ...field) endpoint {
	return endpoint{tag: "business", summary: summary,
		text: "Sent from admin, stored, queued for who is offline, and pushed. A call that has an idempotency key may be repeated when its answer was lost or was no ok: whoever has their message gets no second one, and the answer is that of the first. What is to be finished is finished, also after a crash, whether it is repeated or not.",
		params: []field{
			{name: "params", kind: objects, missing: protocol.NotArray, text: "The content: at least one object, passed on as it is.", of: content, open: true, each: each},
			{name: "msgTo", kind: ids, missing: protocol.UserIDInvalid, text: receiversText},
			{name: "msg_to", kind: ids, older: true, text: "Older name of msgTo."},
			{name: keyParameter, kind: callKey, text: "What a repeated call has in common with the first, within idempotency.window (24 hours): up to 255 printable ASCII characters, such as a UUID, of which letter case counts. Also as header " + keyHeader + ". Each API key has its own, for each of the three endpoints. With other content it is error-014."}},
		answer: []field{{name: "call_id", kind: words, text: "Id of the call, for findNotice. A repeat answers that of the first."}, skippedField(skippedOfCalls)},
		codes:  []protocol.Code{protocol.NotJSON, protocol.GroupIDEmpty, protocol.UserIDInvalid, protocol.NoSuchGroup, protocol.TooLarge, protocol.IDConflict}}
}

var approvalFields = []field{
	{name: "bizId", kind: anyText, text: "Id of the process."}, {name: "docTitle", kind: anyText, text: "Title that is shown."},
	{name: "solId", kind: anyText, text: "Id of the solution."}, {name: "spType", kind: anyText, text: "Kind of approval."},
	{name: "wzType", kind: anyText, text: "Kind of document."}, {name: "taskId", kind: anyText, text: "Id of the task."},
}

var describedBusiness = map[string]endpoint{
	"approval":     notice("Asks for an approval (MTB-000)", "Approval", approvalFields...),
	"approvalBack": notice("Says how an approval ended (MTB-001)", "Approval", approvalFields...),
	"systemMessage": notice("Sends a system message (MTB-100)", "SystemMessage",
		field{name: "title", kind: anyText, text: "Title."}, field{name: "content", kind: anyText, text: "Text."},
		field{name: "ts", kind: anyText, text: "Time that is shown, in epoch milliseconds."}, field{name: "url", kind: anyText, text: "What a tap opens."},
		field{name: "mark", kind: anyText, text: "For the client."}, field{name: "random", kind: anyText, text: "For the client."},
		field{name: "type", kind: anyText, text: "Kind of message, for the client."}, field{name: "typeName", kind: anyText, text: "Its name."}),
	"findNotice": {tag: "business", summary: "Says what became of a notice, receiver by receiver", streamed: true,
		text:   "For as long as the messages' ids are kept (cleanup.ids).",
		params: []field{{name: "call_id", kind: oneID, missing: resultFail, text: "What approval, approvalBack or systemMessage answered."}, startField, lengthField},
		answer: []field{totalField,
			{name: "state", kind: words, text: "open while some receivers are still to be served, else done."},
			{name: "receivers", kind: rows, each: "Receiver", text: "The receivers, in the order of the call.", of: []field{
				{name: "delivered", kind: words, text: "queued: waits for their phone; sent: on its way; routed: the server has given it to their devices; confirmed: their phone has said so, or has fetched it. Absent for a message that is not stored."},
				{name: "msg_id", kind: words, text: "Id of their message."},
				{name: "msg_time", kind: millis, text: "When it was stored, in epoch milliseconds."},
				{name: "pushed", kind: words, text: "Their phone's push: waiting, sent, withdrawn, repeated, dead, refused or expired; absent when there was none, or a day after it."},
				{name: "read", kind: number, text: "0, 1 read on the web, 2 read on a phone."},
				{name: "stored", kind: words, text: "waiting: still to be served; stored; removed: revoked, or cleaned up."},
				{name: "user_id", kind: words, text: "The receiver."}}}},
		codes: []protocol.Code{resultFail}},
	"addUser": {tag: "business", summary: "Adds users to the directory, or changes them", text: "All or none. Where the component may administer Openfire, accounts are made as well.",
		params: []field{{name: "userList", kind: objects, missing: protocol.NotArray, text: "The users, at least one.", of: []field{
			{name: "user_id", kind: userID, missing: protocol.UserIDInvalid, text: "User id; admin is reserved."}, userIDOld,
			{name: "user_name", kind: chars(maxName), text: "Name."}, {name: "acct_login", kind: chars(maxID), text: "Login name."},
			{name: "user_email", kind: chars(maxName), text: "Mail address."}, {name: "pic_url", kind: chars(maxName), text: "Address of the picture."}}}}},
	"removeUser": {tag: "business", summary: "Removes users from the directory", text: "One that is gone already is ok.",
		params: []field{{name: "userList", kind: objects, missing: protocol.NotArray, text: "The users, at least one.", of: []field{
			{name: "user_id", kind: userID, missing: protocol.UserIDInvalid, text: "User id."}, userIDOld}}}},
}
