package httpapi

import "tlim/component"

const receiversText = "User ids of the receivers: separated by commas, repeated, or a JSON array. @session:<id> is the members of a group, @all everybody. Each gets one message; more than 500 are committed in slices of 500."

func notice(summary string, content ...field) endpoint {
	return endpoint{tag: "business", summary: summary,
		text: "Sent from admin, stored, queued for who is offline, and pushed.",
		params: []field{
			{name: "params", kind: objects, missing: component.NotArray, text: "The content: at least one object, passed on as it is.", of: content},
			{name: "msgTo", kind: anyText, missing: component.UserIDInvalid, text: receiversText},
			{name: "msg_to", kind: anyText, text: "Older name of msgTo."}},
		codes: []component.Code{component.NotJSON, component.GroupIDEmpty, component.UserIDInvalid, component.NoSuchGroup, component.TooLarge}}
}

var approvalFields = []field{
	{name: "bizId", kind: anyText, text: "Id of the process."}, {name: "docTitle", kind: anyText, text: "Title that is shown."},
	{name: "solId", kind: anyText, text: "Id of the solution."}, {name: "spType", kind: anyText, text: "Kind of approval."},
	{name: "wzType", kind: anyText, text: "Kind of document."}, {name: "taskId", kind: anyText, text: "Id of the task."},
}

var describedBusiness = map[string]endpoint{
	"approval":     notice("Asks for an approval (MTB-000)", approvalFields...),
	"approvalBack": notice("Says how an approval ended (MTB-001)", approvalFields...),
	"systemMessage": notice("Sends a system message (MTB-100)",
		field{name: "title", kind: anyText, text: "Title."}, field{name: "content", kind: anyText, text: "Text."},
		field{name: "ts", kind: anyText, text: "Time that is shown, in epoch milliseconds."}, field{name: "url", kind: anyText, text: "What a tap opens."},
		field{name: "mark", kind: anyText, text: "For the client."}, field{name: "random", kind: anyText, text: "For the client."},
		field{name: "type", kind: anyText, text: "Kind of message, for the client."}, field{name: "typeName", kind: anyText, text: "Its name."}),
	"addUser": {tag: "business", summary: "Adds users to the directory, or changes them", text: "All or none. Where the component may administer Openfire, accounts are made as well.",
		params: []field{{name: "userList", kind: objects, missing: component.NotArray, text: "The users, at least one.", of: []field{
			{name: "user_id", kind: userID, missing: component.UserIDInvalid, text: "User id; admin is reserved."}, userIDOld,
			{name: "user_name", kind: chars(nameLength), text: "Name."}, {name: "acct_login", kind: chars(idLength), text: "Login name."},
			{name: "user_email", kind: chars(nameLength), text: "Mail address."}, {name: "pic_url", kind: chars(nameLength), text: "Address of the picture."}}}}},
	"removeUser": {tag: "business", summary: "Removes users from the directory", text: "One that is gone already is ok.",
		params: []field{{name: "userList", kind: objects, missing: component.NotArray, text: "The users, at least one.", of: []field{
			{name: "user_id", kind: userID, missing: component.UserIDInvalid, text: "User id."}, userIDOld}}}},
}
