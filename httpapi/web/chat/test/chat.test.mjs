// What the page knows, without a browser: chat.ts on a server that the test plays.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createServer } from 'vite'

const here = (path) => fileURLToPath(new URL(path, import.meta.url))

// As much of a browser as chat.ts asks for.
class Kept {
  #kept = new Map()
  get length() { return this.#kept.size }
  key(i) { return [...this.#kept.keys()][i] ?? null }
  getItem(key) { return this.#kept.get(key) ?? null }
  setItem(key, value) { this.#kept.set(key, value) }
  removeItem(key) { this.#kept.delete(key) }
}
globalThis.location = { href: 'http://tlim/' }

const vite = await createServer({
  configFile: false, root: here('..'), logLevel: 'error', resolve: { alias: { 'strophe.js': here('../../node_modules/strophe.js/dist/strophe.esm.js'), 'tlim-client': here('../../client/src/index.ts'), shared: here('../../shared') } }, appType: 'custom',
  ssr: { noExternal: true, external: ['vue'] }, server: { middlewareMode: true, watch: null, ws: false }, optimizeDeps: { noDiscovery: true },
})
after(() => vite.close())
const { Chat } = await vite.ssrLoadModule(here('../src/chat.ts'))
const { loggedIn } = await vite.ssrLoadModule(here('../../client/test/fakes.ts'))
// A page that is looked at, and that asks nothing again by itself. Vue would take it for a whole browser while it is loaded.
const listens = { addEventListener() {}, removeEventListener() {} }
globalThis.document = { ...listens, visibilityState: 'visible', hasFocus: () => true, documentElement: {} }
globalThis.window = { ...listens, setTimeout: () => 0, setInterval: () => 0 }

const config = { domain: 'im.test', component: 'tlim.im.test', files: { max_size: 1 }, xmpp: { transport: 'bosh', path: 'xmpp' } }
const settled = () => new Promise((ok) => setTimeout(ok, 20)) // promises alone: nothing here takes time

/** opened is the page of somebody whose stream is up. */
async function opened(answers) {
  globalThis.localStorage = new Kept()
  const world = await loggedIn(answers)
  const chat = new Chat(config, 'zhangsan', world.client)
  world.stream.down()
  world.clock.forward(1000)
  world.stream.up()
  await settled()
  return { ...world, chat }
}

const row = (id, time) => ({ msg_id: id, msg_type: 'MTT-000', msg_from: 'lisi', msg_to: 'zhangsan', msg_time: String(time), session_id: 'lisi', body: JSON.stringify([{ text: id }]) })
const read = (stream) => stream.sent.map((m) => JSON.parse(m.body)).filter((e) => e.msg_type === 'MTT-100').flatMap((e) => e.body.map((item) => item.msg_id))
const group = { session_id: 'g1', session_name: 'team', session_type: 0, session_user: 'zhangsan', session_modify_time: '5' }

test('a copy that a page of the history was faster than is read, and its author is told, once', async () => {
  const { chat, stream } = await opened({ findChatHistory: { result: 'ok', message_list: [row('m1', 10)], total: 1 } })
  await chat.openWith('lisi')
  assert.deepEqual(read(stream), [], 'of a history that this browser sees for the first time nobody is told')
  stream.copy({ msg_id: 'm1' })
  assert.deepEqual(read(stream), ['m1'])
  const c = chat.find('lisi')
  assert.deepEqual([c.timeline.messages.map((m) => m.id), c.unread], [['m1'], 0])
  stream.copy({ msg_id: 'm1' })
  stream.copy({ msg_id: 'm2' })
  assert.deepEqual(read(stream), ['m1', 'm2'])
})

test('a group that its owner has dissolved stays out of the list', async () => {
  const { chat, stream } = await opened({ findWebSessions: { result: 'ok', sessions: [group] } })
  const c = chat.find('g1', true)
  await chat.dissolve(c)
  assert.equal(chat.find('g1', true), undefined)
  // The server tells all members, the owner among them.
  stream.copy({ msg_id: 'd', msg_type: 'MTS-107', msg_from: 'zhangsan', msg_to: 'g1', session_id: 'g1', body: [{ session_id: 'g1' }] })
  await settled()
  assert.equal(chat.find('g1', true), undefined)
})

test('a member who has the group in the list is told that it was dissolved', async () => {
  const { chat, stream } = await opened({ findWebSessions: { result: 'ok', sessions: [{ ...group, session_user: 'lisi' }] } })
  stream.copy({ msg_id: 'd', msg_type: 'MTS-107', msg_from: 'lisi', msg_to: 'g1', session_id: 'g1', body: [{ session_id: 'g1' }] })
  assert.equal(chat.find('g1', true)?.closed, true)
})

test('a list that was on its way when a group was left does not bring it back; one that was asked for later does', async () => {
  let answer
  const { chat, stream, clock } = await opened({ findWebSessions: { result: 'ok', sessions: [group] } })
  const c = chat.find('g1', true)
  const list = await chat.client.conversations()
  chat.client.conversations = () => new Promise((ok) => (answer = () => ok(list)))
  const again = () => {
    stream.down()
    clock.forward(1000)
    stream.up()
  }
  again()
  await settled()
  chat.forget(c)
  answer()
  await settled()
  assert.equal(chat.find('g1', true), undefined)
  again()
  await settled()
  answer()
  await settled()
  assert.equal(chat.find('g1', true)?.name, 'team', 'somebody took the user in again')
})

test('a page whose link is down knows of nobody whether they are there, and asks again when it is up', async () => {
  let asked = 0
  let groups = 0
  const { chat, stream, clock } = await opened({
    findWebSessions: { result: 'ok', sessions: [group, { ...group, session_id: 'lisi', session_name: '李四', session_type: 99 }] },
    findUserPresence: () => (asked++, { result: 'ok', presence: [{ user_id: 'lisi', status: 'available' }] }),
    findPresence: () => (groups++, [{ user_id: 'lisi', status: 'available' }]),
  })
  await chat.openWith('lisi')
  chat.seen = [chat.find('lisi')]
  const c = chat.find('g1', true)
  await chat.open(c)
  await settled()
  await chat.loadMembers(c)
  stream.events.presence('wangwu', 'phone', 'available')
  assert.deepEqual([chat.shows('wangwu'), c.presence?.get('lisi')], ['available', 'available'])
  stream.down()
  assert.deepEqual([chat.shows('lisi'), chat.shows('wangwu'), c.presence], [undefined, undefined, null])
  const before = [asked, groups]
  clock.forward(5000)
  stream.up()
  await settled()
  assert.ok(asked > before[0] && groups > before[1], `asked ${before} times before and ${[asked, groups]} after`)
  assert.deepEqual([chat.shows('lisi'), c.presence?.get('lisi')], ['available', 'available'])
})
