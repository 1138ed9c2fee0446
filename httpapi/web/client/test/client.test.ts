import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TlimError } from '../src/errors.ts'
import type { Message } from '../src/message.ts'
import { TlimClient, type State } from '../src/client.ts'
import { Timeline } from '../src/timeline.ts'
import type { OutgoingMessage } from '../src/stream.ts'
import { Clock, FakeStream, loggedIn } from './fakes.ts'


test('a message is sent under one id until it is acknowledged', async () => {
  const { client, stream, clock } = await loggedIn()
  const { message, stored } = client.text({ id: 'lisi', group: false }, '你好')
  assert.equal(message.status, 'pending')
  assert.equal(stream.sent.length, 1)
  clock.forward(8_000)
  clock.forward(16_000)
  assert.equal(stream.sent.length, 3, 'it is repeated, slower each time')
  assert.deepEqual(new Set(stream.sent.map((m) => m.body)).size, 1, 'every repeat is the same')
  stream.acknowledge(message.id, 4711)
  assert.equal(await stored, 4711)
  clock.forward(600_000)
  assert.equal(stream.sent.filter((m) => m.id === message.id).length, 3)
})

test('what was written while the link was down goes out with the next stream, in order', async () => {
  const { client, stream, clock } = await loggedIn()
  const first = client.text({ id: 'lisi', group: false }, 'one')
  stream.down()
  client.text({ id: 'lisi', group: false }, 'two')
  assert.equal(stream.sent.length, 1)
  clock.forward(1_000)
  assert.equal(stream.opens, 2)
  stream.up()
  assert.deepEqual(stream.sent.slice(1).map((m) => (JSON.parse(m.body) as { body: { text: string }[] }).body[0]!.text), ['one', 'two'])
  stream.acknowledge(first.message.id)
  await first.stored
})

test('a refusal is told once, and not repeated', async () => {
  const { client, stream, clock } = await loggedIn()
  const told: string[] = []
  client.on('refused', (e) => told.push(`${e.id} ${e.error.code}`))
  const { message, stored } = client.text({ id: 'g1', group: true }, 'x')
  stream.refuse(message.id, 'error-011')
  await assert.rejects(stored, (e) => e instanceof TlimError && e.code === 'error-011' && e.detail === 'error-011: why')
  clock.forward(600_000)
  assert.equal(stream.sent.length, 1)
  assert.deepEqual(told, [`${message.id} error-011`])
})

for (const [name, code, type, condition] of [
  ['tlim is busy', 'error-013', 'wait', 'resource-constraint'],
  ['tlim is away', '', 'cancel', 'service-unavailable'],
  ['tlim is away, and the server looks for another one', '', 'cancel', 'remote-server-not-found'],
] as const) {
  test(`${name}: the message is sent again by itself`, async () => {
    const { client, stream, clock } = await loggedIn()
    const { message, stored } = client.text({ id: 'lisi', group: false }, 'x')
    stream.refuse(message.id, code, type, condition)
    clock.forward(60_000)
    assert.ok(stream.sent.length > 1)
    stream.acknowledge(message.id)
    await stored
  })
}

test('a copy that comes twice is told once, whichever way it comes', async () => {
  const { client, stream } = await loggedIn()
  const got: Message[] = []
  client.on('message', (m) => got.push(m))
  stream.copy({ msg_id: 'm1' })
  stream.copy({ msg_id: 'm1' })
  stream.copy({ msg_id: 'm1', body: JSON.stringify([{ text: 'hello' }]) }, { subject: 'ASYNC' })
  assert.equal(got.length, 1)
  assert.deepEqual([got[0]!.conversation, got[0]!.mine, got[0]!.body[0]!['text']], ['lisi', false, 'hello'])
})

test("one's own message from another device belongs to its receiver's conversation", async () => {
  const { client, stream } = await loggedIn()
  const got: Message[] = []
  client.on('message', (m) => got.push(m))
  stream.copy({ msg_id: 'm2', msg_from: 'zhangsan', msg_to: 'lisi' }, { subject: 'ASYNC' })
  stream.copy({ msg_id: 'm3', msg_type: 'MTS-000', msg_from: 'wangwu', msg_to: 'wangwu', body: [{ session_id: 'g1', text: 'x' }] })
  stream.copy({ msg_id: 'm4', msg_type: 'MTB-100', msg_from: 'admin', body: [{ title: '工资条' }] })
  assert.deepEqual(got.map((m) => [m.conversation, m.group, m.mine]), [['lisi', false, true], ['g1', true, false], ['admin', false, false]])
})

test('the copy of an own group message is no second one, and proves that it is stored', async () => {
  const { client, stream } = await loggedIn()
  const got: Message[] = []
  client.on('message', (m) => got.push(m))
  const { message, stored } = client.text({ id: 'g1', group: true }, 'x')
  stream.copy({ msg_id: message.id, msg_type: 'MTS-000', msg_from: 'zhangsan', msg_to: 'g1', body: [{ session_id: 'g1', text: 'x' }] })
  await stored
  assert.equal(got.length, 0)
})

test('nobody can speak for somebody else past tlim', async () => {
  const { client, stream } = await loggedIn()
  let got = 0
  client.on('message', () => got++)
  stream.copy({ msg_id: 'f1' }, { from: 'mallory@im.test/x' })
  stream.copy({ msg_id: 'f2' }, { from: 'mallory@im.test' })
  stream.copy({ msg_id: 'f3' }, { from: 'lisi@tlim.im.test.evil' })
  stream.copy({ msg_id: 'f4', msg_type: 'MTB-100', msg_from: 'admin' }, { from: 'admin@im.test' })
  assert.equal(got, 0)
  stream.copy({ msg_id: 'f5' }, { from: 'lisi@im.test' }) // xmpp.sender: user
  assert.equal(got, 1)
})

test('what is no message of this protocol is passed over', async () => {
  const { client, stream } = await loggedIn()
  let got = 0
  client.on('message', () => got++)
  for (const body of ['hello', '{', '[]', 'null', '{"msg_type":"MTT-000 "}', '{"msg_type":"XXX-000"}', '{"msg_type":{"a":1}}']) stream.comes({ body })
  assert.equal(got, 0)
})

test('a receipt and a revoke are told with what they name', async () => {
  const { client, stream } = await loggedIn()
  const receipts: unknown[] = []
  const revoked: unknown[] = []
  client.on('receipt', (r) => receipts.push(r))
  client.on('revoked', (r) => revoked.push(r))
  stream.copy({ msg_id: 'r1', msg_type: 'MTT-100', body: [{ msg_id: 'a' }, { msg_id: 'b' }] })
  stream.copy({ msg_id: 'r2', msg_type: 'MTS-101', msg_to: 'g1', body: [{ session_id: 'g1', msg_id: 'c' }] })
  assert.deepEqual(receipts, [{ reader: 'lisi', conversation: 'lisi', group: false, ids: ['a', 'b'] }])
  assert.deepEqual(revoked, [{ ids: ['c'], by: 'lisi', conversation: 'g1' }])
})

test('who asks for a receipt (XEP-0184) gets one', async () => {
  const { stream } = await loggedIn()
  stream.copy({ msg_id: 'm1' }, { requested: true })
  assert.deepEqual(stream.confirmed, ['lisi@tlim.im.test m1'])
})

test('receipts for many messages are split', async () => {
  const { client, stream } = await loggedIn()
  const done = client.read({ id: 'lisi', group: false }, Array.from({ length: 450 }, (_, i) => `m${i}`))
  for (let i = 0; i < 3; i++) {
    assert.equal(stream.sent.length, i + 1)
    stream.acknowledge(stream.sent[i]!.id)
    await new Promise((ok) => setImmediate(ok))
  }
  await done
  assert.deepEqual(stream.sent.map((m) => (JSON.parse(m.body) as { body: unknown[] }).body.length), [200, 200, 50])
})

test('a broken link is opened again, slower each time, and told in between', async () => {
  const { client, stream, clock } = await loggedIn()
  const states: State['phase'][] = []
  const online: boolean[] = []
  client.on('state', (s) => states.push(s.phase))
  client.on('online', (e) => online.push(e.again))
  const waits: number[] = []
  for (let i = 0; i < 7; i++) {
    stream.down()
    const before = stream.opens
    let waited = 0
    while (stream.opens === before) {
      clock.forward(500)
      waited += 500
    }
    waits.push(waited)
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000, 16000, 30000, 30000])
  stream.up()
  assert.deepEqual(states.slice(-3), ['waiting', 'connecting', 'online'])
  assert.deepEqual(online, [true])
})

test('a wrong password ends the login, and nothing is tried again', async () => {
  const stream = new FakeStream()
  const clock = new Clock()
  const client = new TlimClient({ domain: 'im.test', component: 'tlim.im.test', stream, timers: clock })
  const done = client.login('zhangsan', 'wrong')
  stream.down('refused')
  await assert.rejects(done, (e) => e instanceof TlimError && e.code === 'refused')
  clock.forward(600_000)
  assert.equal(stream.opens, 1)
  assert.equal(client.state.phase, 'out')
})

test('a refusal after a login that worked is the server in trouble: it is tried again', async () => {
  const { client, stream, clock } = await loggedIn()
  stream.down()
  clock.forward(1000)
  stream.down('refused')
  assert.equal(client.state.phase, 'waiting')
  clock.forward(60_000)
  stream.up()
  assert.equal(client.state.phase, 'online')
})

test('a stream that died in silence is noticed by a ping without an answer', async () => {
  const { client, stream, clock } = await loggedIn()
  clock.forward(45_000)
  assert.equal(stream.pings.length, 1)
  stream.pings[0]!(new TlimError('timeout'))
  await new Promise((ok) => setImmediate(ok))
  assert.equal(client.state.phase, 'waiting')
  assert.equal(stream.closed, 1)
})

test('after a request that failed, what is shown is read again as soon as the stream is seen to go on', async () => {
  const { client, stream, clock } = await loggedIn()
  const online: boolean[] = []
  client.on('online', (e) => online.push(e.again))
  stream.events!.doubted()
  assert.deepEqual([stream.pings.length, online], [1, []], 'a history that is read before the answer may lack what is lost later')
  stream.pings[0]!()
  await new Promise((ok) => setImmediate(ok))
  assert.deepEqual([online, stream.opens], [[true], 1])

  // The answer of a stream that is gone says nothing of the one that is there.
  stream.events!.doubted()
  stream.down()
  clock.forward(1000)
  stream.up()
  stream.pings[1]!(new TlimError('timeout'))
  await new Promise((ok) => setImmediate(ok))
  assert.deepEqual([online, client.state.phase, stream.closed], [[true, true], 'online', 0])
})

test('logout ends all: no stream, no repeats, no token', async () => {
  const { client, stream, clock } = await loggedIn()
  client.text({ id: 'lisi', group: false }, 'x')
  client.logout()
  clock.forward(600_000)
  assert.deepEqual([stream.opens, stream.sent.length, client.state.phase], [1, 1, 'out'])
})

test('a store brings back what an earlier page could not send', async () => {
  const kept = new Map<string, OutgoingMessage>()
  const store = { load: () => [...kept.values()], save: (m: OutgoingMessage) => void kept.set(m.id, m), remove: (id: string) => void kept.delete(id) }
  const first = await loggedIn({}, { store })
  const { message } = first.client.text({ id: 'lisi', group: false }, 'x')
  assert.equal(kept.size, 1)
  first.client.logout()

  const stream = new FakeStream()
  const second = new TlimClient({ domain: 'im.test', component: 'tlim.im.test', stream, timers: new Clock(), store })
  const left = second.restore('zhangsan')
  assert.deepEqual(left.map((m) => [m.id, m.status, m.conversation]), [[message.id, 'pending', 'lisi']])
  const done = second.login('zhangsan', 'secret')
  stream.up()
  await done
  assert.deepEqual(stream.sent.map((m) => m.id), [message.id])
  stream.acknowledge(message.id)
  assert.equal(kept.size, 0)
})

test('the offline queue is fetched in pages, and each is cleared only when the next call names it', async () => {
  const row = (id: string) => ({ msg_id: id, msg_type: 'MTT-000', msg_from: 'lisi', msg_to: 'lisi', session_id: 'lisi', msg_time: '7', body: '[{"text":"x"}]' })
  const pages = [[row('a'), row('b')], [row('c')], []]
  const { client, calls } = await loggedIn({ getOffline: () => ({ result: 'ok', message_list: pages.shift() }) })
  const got: string[] = []
  await client.offline((messages) => void got.push(...messages.map((m) => `${m.conversation} ${m.id}`)))
  assert.deepEqual(got, ['lisi a', 'lisi b', 'lisi c'])
  assert.deepEqual(calls.map((c) => [c.params.get('getThenClear'), c.params.get('clear')]), [['1', null], ['1', 'a,b'], ['1', 'c']])
})

test('a group is made over HTTP, and then told to its members', async () => {
  const { client, stream, calls } = await loggedIn({ addSession: { result: 'ok', session_id: 'g9', session_name: '张三,李四', skipped: [{ user_id: 'x', reason: 'unknown' }], subscribers: [{ user_id: 'zhangsan' }, { user_id: 'lisi' }] } })
  const done = client.createGroup([{ user_id: 'lisi' }, { user_id: 'x' }], '项目组')
  for (let i = 0; i < 50 && stream.sent.length === 0; i++) await new Promise((ok) => setImmediate(ok))
  const sent = JSON.parse(stream.sent[0]!.body) as Record<string, unknown>
  assert.equal(sent['msg_type'], 'MTS-105')
  assert.deepEqual(sent['body'], [{ session_id: 'g9', session_user: 'zhangsan', subscribers: [{ user_id: 'zhangsan' }, { user_id: 'lisi' }] }])
  stream.acknowledge(stream.sent[0]!.id)
  assert.deepEqual(await done, { id: 'g9', name: '项目组', skipped: [{ user: 'x', reason: 'unknown' }] })
  assert.deepEqual(calls.map((c) => c.url), ['addSession', 'modifySession'])
})

test('a sender whose clock is wrong or lies stands neither above all others nor nowhere', async () => {
  const { client, stream } = await loggedIn()
  const got: Message[] = []
  client.on('message', (m) => got.push(m))
  const before = Date.now()
  for (const [i, time] of ['99999999999999999999', '1e300', '-1e300', 'NaN', '', String(before + 86_400_000)].entries()) stream.copy({ msg_id: `t${i}`, msg_time: time })
  assert.equal(got.length, 6)
  for (const m of got) {
    assert.ok(m.time >= before && m.time <= Date.now(), `${m.time}`)
    new Date(m.time).toISOString()
  }
  stream.copy({ msg_id: 'past', msg_time: '1000' })
  assert.equal(got[6]!.time, 1000)
})

test('who is no part of tlim learns from a request for a receipt nothing', async () => {
  const { stream } = await loggedIn()
  for (const from of ['mallory@im.test/x', 'mallory@elsewhere.test', 'lisi@tlim.im.test.evil', 'elsewhere.test']) stream.copy({ msg_id: 'm1' }, { requested: true, from })
  assert.deepEqual(stream.confirmed, [])
  stream.copy({ msg_id: 'm2' }, { requested: true, from: 'lisi@im.test' }) // xmpp.sender: user
  assert.deepEqual(stream.confirmed, ['lisi@im.test m2'])
})

test('an error of somebody else refuses nothing', async () => {
  const { client, stream } = await loggedIn()
  let refused = 0
  client.on('refused', () => refused++)
  const { message, stored } = client.text({ id: 'lisi', group: false }, 'x')
  stream.comes({ id: message.id, from: 'mallory@im.test/x', type: 'error', error: { code: 'error-011', type: 'auth', condition: 'forbidden', text: '' } })
  assert.equal(refused, 0)
  stream.acknowledge(message.id)
  await stored
})

test('somebody is there as long as one of their devices is, and gone with a link that broke', async () => {
  const { client, stream, clock } = await loggedIn()
  const shown: string[] = []
  client.on('presence', (p) => shown.push(`${p.user} ${p.show}`))
  const tell = (resource: string, show: string) => stream.events!.presence('LiSi', resource, show)
  tell('pc', 'available')
  tell('phone', 'away')
  tell('pc', 'offline')
  tell('phone', 'offline')
  tell('pc', 'nonsense " onload')
  stream.down()
  clock.forward(1000)
  stream.up()
  assert.deepEqual(shown, ['lisi available', 'lisi available', 'lisi away', 'lisi offline', 'lisi available', 'lisi offline'])
})

test('a password that was changed is not tried for ever', async (t) => {
  t.mock.timers.enable({ apis: ['Date'] })
  const { client, stream, clock } = await loggedIn()
  stream.down()
  for (let i = 0; i < 30 && client.state.phase !== 'out'; i++) {
    clock.forward(40_000)
    t.mock.timers.tick(40_000)
    stream.down('refused')
  }
  assert.deepEqual(client.state.phase === 'out' && client.state.error?.code, 'refused')
  assert.ok(stream.opens > 5, 'a server that starts is given time')
  const before = stream.opens
  clock.forward(3_600_000)
  assert.equal(stream.opens, before)
})

test('a page of rows that are no messages does not end the history', async () => {
  const rows = (from: number, n: number) => Array.from({ length: n }, (_, i) => ({ msg_id: '', msg_type: 'old', msg_from: 'lisi', msg_to: 'lisi', msg_time: String(from - i), body: '' }))
  const { client, calls } = await loggedIn({ findChatHistory: (n: number) => ({ result: 'ok', message_list: n === 1 ? rows(2000, 50) : rows(1900, 10) }) })
  const first = await client.history({ id: 'lisi', group: false })
  assert.deepEqual([first.messages.length, first.complete, first.next], [0, false, '1951,'])
  const timeline = new Timeline()
  timeline.newest(first.messages, first.complete, timeline.mark(), first.next)
  const second = await client.history({ id: 'lisi', group: false }, { before: timeline.oldest! })
  assert.equal(calls[1]!.params.get('before'), '1951,')
  timeline.older(second.messages, second.complete, second.next)
  assert.equal(timeline.complete, true)
})

test('presence of people is asked for by their ids, an announcement is changed', async () => {
  const { client, calls } = await loggedIn({ findUserPresence: { result: 'ok', presence: [{ user_id: 'a,b', status: 'away' }] } })
  assert.deepEqual([...await client.findUserPresence(['a,b', 'c'])], [['a,b', 'away']])
  await client.editAnnouncement('7', 't', 'c')
  assert.deepEqual(calls.map((c) => [c.url, c.params.toString()]), [['findUserPresence', 'user_ids=%5B%22a%2Cb%22%2C%22c%22%5D'], ['modifyPubact', 'id_=7&title=t&content=c']])
})
