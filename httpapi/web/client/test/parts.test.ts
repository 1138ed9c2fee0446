import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode, fromFields, newId } from '../src/envelope.ts'
import { TlimError, explain } from '../src/errors.ts'
import { Http } from '../src/http.ts'
import { family } from '../src/kinds.ts'
import type { Message } from '../src/message.ts'
import { Recent } from '../src/recent.ts'
import { Timeline } from '../src/timeline.ts'
import { loggedIn } from './fakes.ts'

test('ids are UUIDs, also without randomUUID', () => {
  assert.match(newId(), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.notEqual(newId(), newId())
})

test('an envelope comes back as it was written', () => {
  const text = encode('m1', 'MTT-000', 'zhangsan', 'lisi', [{ text: '你好 😀 <b>&</b> ]]> "\\' }], 42)
  assert.ok(!text.includes(']]>'))
  const e = decode(text)!
  assert.deepEqual([e.msg_id, e.msg_type, e.msg_from, e.msg_to, e.msg_time, e.opaque], ['m1', 'MTT-000', 'zhangsan', 'lisi', '42', false])
  assert.deepEqual(e.body, [{ text: '你好 😀 <b>&</b> ]]> "\\' }])
})

test('a body is an array, a string that holds one, or nothing', () => {
  const of = (body: unknown, more = {}) => fromFields({ msg_type: 'MTT-000', body, ...more })!.body
  assert.deepEqual(of([{ a: 1 }, 'x', null]), [{ a: 1 }])
  assert.deepEqual(of('[{"a":1}]'), [{ a: 1 }])
  assert.deepEqual(of('{"a":1}'), [{ a: 1 }])
  assert.deepEqual(of('no json'), [])
  assert.deepEqual(of(undefined), [])
  assert.deepEqual(of('b3BhcXVl', { compress: '1' }), [])
  assert.equal(fromFields({ msg_type: 'MTT-000', body: 'b3BhcXVl', encrypt: 1 })!.raw, 'b3BhcXVl')
})

test('types belong to four families', () => {
  assert.deepEqual(['MTT-000', 'MTS-9z', 'MTB-100', 'MTC-000', 'MTX-000', 'MTT-', 'MTT-0000000000000000x', 'mtt-000'].map(family),
    ['chat', 'group', 'business', 'command', undefined, undefined, undefined, undefined])
})

test('errors have words in two languages, with what the server says', () => {
  assert.equal(explain(new TlimError('error-011', 'error-011: only members may post'), 'en'), 'You may not do this (only members may post)')
  assert.equal(explain(new TlimError('network'), 'zh'), '无法连接到服务器')
  assert.equal(explain(new TlimError('error-099', 'new'), 'en'), 'new')
})

test('Recent forgets the oldest', () => {
  const r = new Recent(2)
  assert.deepEqual(['a', 'a', 'b', 'c', 'c', 'a'].map((k) => r.add(k)), [true, false, true, true, false, true])
})

// --- the timeline ---

const message = (id: string, stored?: number, more: Partial<Message> = {}): Message => ({
  id, type: 'MTT-000', from: 'lisi', conversation: 'lisi', group: false, mine: false, body: [], opaque: false, time: stored ?? 0, ...(stored === undefined ? {} : { stored }), ...more,
})
const page = (from: number, to: number) => Array.from({ length: from - to + 1 }, (_, i) => message(`s${from - i}`, from - i)) // newest first
const ids = (t: Timeline) => t.messages.map((m) => m.id).join(' ')

test('pages of the history come in front, live messages behind, each once', () => {
  const t = new Timeline()
  assert.equal(t.newest(page(6, 4), false), false)
  assert.equal(t.add(message('s6')), false)
  assert.equal(t.add(message('live')), true)
  assert.equal(t.oldest, '4,s4')
  assert.equal(t.older(page(4, 2), true), 2)
  assert.equal(ids(t), 's2 s3 s4 s5 s6 live')
  assert.equal(t.complete, true)
})

test('after a break the newest page is laid over: what was missed stands in its place', () => {
  const t = new Timeline()
  t.newest(page(3, 1), true)
  t.add(message('s5')) // came live, s4 did not
  const mine = message('mine', undefined, { mine: true, status: 'pending' })
  t.add(mine)
  const mark = t.mark()
  t.add(message('late')) // came while the page was read
  assert.equal(t.newest(page(5, 2), false, mark), true)
  assert.equal(ids(t), 's1 s2 s3 s4 s5 mine late')
  assert.equal(t.get('s5')!.stored, 5)
  assert.equal(t.complete, true)
})

test('a hole in front of the newest page is no place for what is older', () => {
  const t = new Timeline()
  t.newest(page(3, 1), true)
  t.add(message('mine', undefined, { mine: true, status: 'failed' }))
  assert.equal(t.newest(page(9, 7), false), false)
  assert.equal(ids(t), 's7 s8 s9 mine')
  assert.equal(t.complete, false)
  t.older(page(6, 1), true)
  assert.equal(ids(t), 's1 s2 s3 s4 s5 s6 s7 s8 s9 mine')
})

test('what the server has no more is gone; what it cannot show yet stays', () => {
  const t = new Timeline()
  t.newest(page(5, 1), true)
  t.add(message('mine', 8, { mine: true, status: 'sent' })) // acknowledged, behind the page's moment
  t.newest([message('s5', 5), message('s3', 3)], false)
  assert.equal(ids(t), 's1 s2 s3 s5 mine') // s4 was revoked
  t.remove(['s1', 'nobody'])
  assert.equal(ids(t), 's2 s3 s5 mine')
  assert.equal(t.get('s1'), undefined)
})

test('an object that is shown stays the same one', () => {
  const t = new Timeline()
  const m = message('s1')
  t.add(m)
  t.newest(page(1, 1), true)
  assert.equal(t.messages[0], m)
})

// --- HTTP ---

test('a token is got once for all who wait, kept, and renewed before it ends', async () => {
  let now = 0
  let tokens = 0
  const http = new Http({
    base: '', now: () => now, newToken: () => Promise.resolve({ token: `t${++tokens}`, expires: now + 3_600_000 }),
    fetch: (_, init) => Promise.resolve(Response.json({ result: 'ok', auth: new Headers(init!.headers).get('Authorization') })),
  })
  await Promise.all([http.call('a'), http.call('b')])
  assert.equal(tokens, 1)
  now = 3_545_000
  assert.equal((await http.call('a'))['auth'], 'Bearer t2')
})

test('a token that was revoked is replaced once, and then the failure is told', async () => {
  let tokens = 0
  let good = 't2'
  const http = new Http({
    base: '', newToken: () => Promise.resolve({ token: `t${++tokens}`, expires: Date.now() + 3_600_000 }),
    fetch: (_, init) => Promise.resolve(new Headers(init!.headers).get('Authorization') === `Bearer ${good}` ? Response.json({ result: 'ok' }) : Response.json({ result: 'error-011', result_detail: 'no' }, { status: 401 })),
  })
  await http.call('a')
  good = 'none'
  await assert.rejects(http.call('a'), (e) => e instanceof TlimError && e.code === 'error-011')
  assert.equal(tokens, 3)
})

test('who is told to come later comes later, so often and no more', async () => {
  const waits: number[] = []
  let busy = 2
  const http = new Http({
    base: '', newToken: () => Promise.resolve({ token: 't', expires: Date.now() + 3_600_000 }), wait: (ms) => Promise.resolve(void waits.push(ms)),
    fetch: () => Promise.resolve(busy-- > 0 ? Response.json({ result: 'error-013' }, { status: 429, headers: { 'Retry-After': '2' } }) : Response.json({ result: 'ok' })),
  })
  await http.call('a')
  assert.deepEqual(waits, [2000, 2000])
  busy = 100
  await assert.rejects(http.call('a'), (e) => e instanceof TlimError && e.code === 'error-013' && e.temporary)
  assert.equal(waits.length, 5)
})

test('failures have codes: refused, away, no network', async () => {
  const { client } = await loggedIn({
    findUnread: { result: 'error-008', result_detail: '缺少参数 user_id' }, findWebSessions: new Response('<html>', { status: 502 }), findSubscribers: new Response('<html>'),
  })
  await assert.rejects(client.unread(), (e) => e instanceof TlimError && e.code === 'error-008' && e.detail === '缺少参数 user_id')
  await assert.rejects(client.conversations(), (e) => e instanceof TlimError && e.code === 'unavailable')
  await assert.rejects(client.group('g'), (e) => e instanceof TlimError && e.code === 'network')
})

test('histories are read by their endpoint, and page by the place of the last row', async () => {
  const { client, calls } = await loggedIn({ findChatHistory: { result: 'ok', total: 9, message_list: [
    { msg_id: 'b', msg_type: 'MTT-000', msg_from: 'ZhangSan', msg_to: 'lisi', msg_time: '20', session_id: 'zhangsan', body: '[{"text":"x"}]' },
    { msg_id: 'a', msg_type: 'MTT-000', msg_from: 'lisi', msg_to: 'zhangsan', msg_time: '10', session_id: 'lisi', body: '[{"text":"y"}]' }] } })
  const p = await client.history({ id: 'lisi', group: false }, { length: 2, before: '30,c' })
  assert.deepEqual(p.messages.map((m) => [m.id, m.mine, m.conversation, m.stored]), [['b', true, 'lisi', 20], ['a', false, 'lisi', 10]])
  assert.deepEqual([p.complete, p.total], [false, 9])
  assert.deepEqual([...calls[0]!.params], [['session_id', 'lisi'], ['user_id', 'zhangsan'], ['length', '2'], ['before', '30,c']])
})

test('who is no person is told: in lists, among members, among those who are found', async () => {
  const { client } = await loggedIn({
    findWebSessions: { result: 'ok', sessions: [{ session_id: 'alarm-bot', session_type: 99, session_name: '告警', robot: true }, { session_id: 'lisi', session_type: 99, session_name: '李四' }] },
    findSubscribers: { result: 'ok', subscribers: [{ user_id: 'alarm-bot', user_name: '告警', robot: true }, { user_id: 'lisi', user_name: '李四', robot: 'true' }] },
    findUsers: { result: 'ok', users: [{ user_id: 'lisi', user_name: '李四' }, { user_id: 'alarm-bot', user_name: '告警', robot: true }] },
  })
  assert.deepEqual((await client.conversations()).map((c) => [c.id, c.robot]), [['alarm-bot', true], ['lisi', false]])
  assert.deepEqual((await client.group('g')).members.map((m) => [m.id, m.robot]), [['alarm-bot', true], ['lisi', false]])
  assert.deepEqual((await client.findUsers('')).users.map((m) => [m.id, m.robot]), [['lisi', false], ['alarm-bot', true]])
})
