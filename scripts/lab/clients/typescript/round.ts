// Makes a group, sends a notice to two people, says what became of it, and pages a history; arguments: address, key, the robot's id.
import { deepStrictEqual } from 'node:assert';
import { randomUUID } from 'node:crypto';
import { BusinessApi, Configuration, GroupsApi, MessagesApi } from './client';

async function round(basePath: string, key: string, robot: string): Promise<void> {
    const config = new Configuration({ basePath, accessToken: key });
    const messages = new MessagesApi(config);
    const business = new BusinessApi(config);

    const group = await new GroupsApi(config).addSession({
        addSessionBody: { sessionType: 0, requestUser: 'zhangsan', subscribers: [{ userId: 'zhangsan' }, { userId: 'lisi' }, { userId: robot }] },
    });
    deepStrictEqual([group.result, group.subscribers?.length], ['ok', 3]);

    const notice = await business.systemMessage({ systemMessageBody: { msgTo: ['zhangsan', 'lisi'], params: [{ title: 'typescript', content: '通知' }] } });
    deepStrictEqual(notice.result, 'ok');
    const became = await business.findNotice({ findNoticeBody: { callId: notice.callId!, length: 10 } });
    deepStrictEqual([became.result, became.state, became.total], ['ok', 'done', 2]);
    deepStrictEqual(became.receivers?.map((r) => [r.userId, r.stored]), [['zhangsan', 'stored'], ['lisi', 'stored']]);

    const said: string[] = [];
    const read: string[] = [];
    for (let i = 1; i <= 5; i++) {
        const msgId = randomUUID();
        const sent = await messages.sendMessage({ sendMessageBody: { sessionId: group.sessionId, content: `typescript ${i}`, msgId } });
        deepStrictEqual([sent.result, sent.msgId], ['ok', msgId]);
        said.unshift(msgId);
    }
    let before: string | undefined;
    for (let rows = 2; rows === 2; ) {
        const page = await messages.findSessionHistory({ findSessionHistoryBody: { sessionId: group.sessionId!, length: 2, before } });
        deepStrictEqual(page.result, 'ok');
        rows = page.messageList!.length;
        for (const message of page.messageList!) {
            read.push(message.msgId!);
            before = `${message.msgTime},${message.msgId}`;
        }
    }
    deepStrictEqual(read, said);

    const nowhere = await messages.findSessionHistory({ findSessionHistoryBody: { sessionId: 'nowhere', length: 2 } });
    deepStrictEqual(nowhere.result, 'error-009');
    console.log(group.sessionId, notice.callId);
}

const [basePath, key, robot] = process.argv.slice(2);
round(basePath, key, robot).catch((error) => {
    console.error(error);
    process.exit(1);
});
