"""Makes a group, sends a notice to two people, says what became of it, and pages a history; arguments: address, key, the robot's id."""
import sys
import uuid

import tlim_client as tlim

address, key, robot = sys.argv[1:]


def want(what, got, wanted):
    if got != wanted:
        sys.exit(f"{what}: got {got!r}, want {wanted!r}")


with tlim.ApiClient(tlim.Configuration(host=address, access_token=key)) as client:
    messages, business = tlim.MessagesApi(client), tlim.BusinessApi(client)

    members = [tlim.AddSessionSubscribersEntry(user_id=user) for user in ("zhangsan", "lisi", robot)]
    group = tlim.GroupsApi(client).add_session(tlim.AddSessionBody(session_type=0, request_user="zhangsan", subscribers=members))
    want("addSession", (group.result, len(group.subscribers)), ("ok", 3))

    notice = business.system_message(tlim.SystemMessageBody(msg_to=["zhangsan", "lisi"], params=[tlim.SystemMessage(title="python", content="通知")]))
    want("systemMessage", notice.result, "ok")
    became = business.find_notice(tlim.FindNoticeBody(call_id=notice.call_id, length=10))
    want("findNotice", (became.result, became.state, became.total), ("ok", "done", 2))
    want("receivers", [(r.user_id, r.stored) for r in became.receivers], [("zhangsan", "stored"), ("lisi", "stored")])

    said, read = [], []
    for i in range(1, 6):
        msg_id = str(uuid.uuid4())
        sent = messages.send_message(tlim.SendMessageBody(session_id=group.session_id, content=f"python {i}", msg_id=msg_id))
        want("sendMessage", (sent.result, sent.msg_id), ("ok", msg_id))
        said.insert(0, msg_id)
    before, rows = None, 2
    while rows == 2:
        page = messages.find_session_history(tlim.FindSessionHistoryBody(session_id=group.session_id, length=2, before=before))
        want("findSessionHistory", page.result, "ok")
        rows = len(page.message_list)
        for message in page.message_list:
            read.append(message.msg_id)
            before = f"{message.msg_time},{message.msg_id}"
    want("history", read, said)

    want("no group", messages.find_session_history(tlim.FindSessionHistoryBody(session_id="nowhere", length=2)).result, "error-009")
    print(group.session_id, notice.call_id)
