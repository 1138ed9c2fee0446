import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import tlim.client.ApiClient;
import tlim.client.api.BusinessApi;
import tlim.client.api.GroupsApi;
import tlim.client.api.MessagesApi;
import tlim.client.model.*;

/** Makes a group, sends a notice to two people, says what became of it, and pages a history; arguments: address, key, the robot's id. */
public final class Round {
    public static void main(String[] args) throws Exception {
        ApiClient client = new ApiClient();
        client.updateBaseUri(args[0]);
        client.setRequestInterceptor(request -> request.header("Authorization", "Bearer " + args[1]));
        MessagesApi messages = new MessagesApi(client);
        BusinessApi business = new BusinessApi(client);

        AddSessionAnswer group = new GroupsApi(client).addSession(new AddSessionBody().sessionType(0).requestUser("zhangsan")
            .subscribers(List.of(member("zhangsan"), member("lisi"), member(args[2]))));
        want("addSession", group.getResult(), "ok");
        want("members", group.getSubscribers().size(), 3);

        SystemMessageAnswer notice = business.systemMessage(new SystemMessageBody().msgTo(List.of("zhangsan", "lisi"))
            .params(List.of(new SystemMessage().title("java").content("通知"))));
        want("systemMessage", notice.getResult(), "ok");
        FindNoticeAnswer became = business.findNotice(new FindNoticeBody().callId(notice.getCallId()).length(10));
        want("findNotice", became.getResult(), "ok");
        want("state", became.getState(), "done");
        want("total", became.getTotal(), 2L);
        List<String> receivers = new ArrayList<>();
        for (Receiver receiver : became.getReceivers()) {
            receivers.add(receiver.getUserId() + " " + receiver.getStored());
        }
        want("receivers", receivers, List.of("zhangsan stored", "lisi stored"));

        List<String> said = new ArrayList<>(), read = new ArrayList<>();
        for (int i = 1; i <= 5; i++) {
            String id = UUID.randomUUID().toString();
            SendMessageAnswer sent = messages.sendMessage(new SendMessageBody().sessionId(group.getSessionId()).content("java " + i).msgId(id));
            want("sendMessage", sent.getResult(), "ok");
            said.add(0, id);
        }
        String before = null;
        for (int rows = 2; rows == 2; ) {
            FindSessionHistoryAnswer page = messages.findSessionHistory(new FindSessionHistoryBody().sessionId(group.getSessionId()).length(2).before(before));
            want("findSessionHistory", page.getResult(), "ok");
            rows = page.getMessageList().size();
            for (Message message : page.getMessageList()) {
                read.add(message.getMsgId());
                before = message.getMsgTime() + "," + message.getMsgId();
            }
        }
        want("history", read, said);

        want("no group", messages.findSessionHistory(new FindSessionHistoryBody().sessionId("nowhere").length(2)).getResult(), "error-009");
        System.out.println(group.getSessionId() + " " + notice.getCallId());
    }

    private static AddSessionSubscribersEntry member(String user) {
        return new AddSessionSubscribersEntry().userId(user);
    }

    private static void want(String what, Object got, Object want) {
        if (!want.equals(got)) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
    }
}
