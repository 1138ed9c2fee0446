import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TlimError } from '../src/errors.ts'
import { Http } from '../src/http.ts'
import { type KeyValues, Markers, outboxIn } from '../src/storage.ts'

class Storage implements KeyValues {
  kept = new Map<string, string>()
  room = Infinity
  get length() {
    return this.kept.size
  }

  key(i: number) {
    return [...this.kept.keys()][i] ?? null
  }

  getItem(key: string) {
    return this.kept.get(key) ?? null
  }

  setItem(key: string, value: string) {
    if (this.kept.size >= this.room && !this.kept.has(key)) throw new DOMException('full', 'QuotaExceededError')
    this.kept.set(key, value)
  }

  removeItem(key: string) {
    this.kept.delete(key)
  }
}

test('what is broken in the browser\'s store keeps nobody from logging in', () => {
  const storage = new Storage()
  const box = outboxIn(storage, 'out.')
  box.save({ id: 'b', to: 'tlim', body: '{"msg_time":"2"}' })
  box.save({ id: 'a', to: 'tlim', body: '{"msg_time":"1"}' })
  box.save({ id: 'c', to: 'tlim', body: 'no json' })
  for (const [key, value] of [['out.x', '{'], ['out.y', 'null'], ['out.z', '[]'], ['out.w', '{"id":1}'], ['other', '{}']] as const) storage.setItem(key, value)
  assert.deepEqual(box.load().map((m) => m.id), ['c', 'a', 'b'])
  storage.room = 0
  box.save({ id: 'd', to: 'tlim', body: '' })
  box.remove('a')
  assert.equal(box.load().length, 2)
})

test('two tabs of one user keep each other\'s markers', () => {
  const storage = new Storage()
  const [one, other] = [new Markers(storage, 'read.'), new Markers(storage, 'read.')]
  one.set('lisi', { id: 'm1', time: 1 })
  other.set('wangwu', { id: 'm2', time: 2 })
  const third = new Markers(storage, 'read.')
  assert.deepEqual([third.get('lisi')?.id, third.get('wangwu')?.id], ['m1', 'm2'])
  assert.equal(other.heard('read.lisi', storage.getItem('read.lisi')), 'lisi')
  assert.equal(other.get('lisi')?.id, 'm1')
  for (const value of [null, '{', '7', '{"id":1,"time":2}', '{"id":"x"}']) assert.equal(other.heard('read.lisi', value), undefined)
  assert.equal(other.heard('unread.lisi', '{"id":"x","time":1}'), undefined)
})

test('markers of names that objects have are as good as others, and their number is bounded', () => {
  const storage = new Storage()
  const markers = new Markers(storage, 'read.', 10)
  for (const name of ['__proto__', 'constructor']) {
    assert.equal(markers.get(name), undefined)
    markers.set(name, { id: name, time: 1000 })
    assert.equal(markers.get(name)?.id, name)
  }
  for (let i = 0; i < 100; i++) markers.set(`c${i}`, { id: 'm', time: i })
  assert.ok(storage.kept.size <= 10, `${storage.kept.size}`)
  assert.equal(markers.get('constructor')?.id, 'constructor', 'the oldest go first')
  storage.room = storage.kept.size
  markers.set('new', { id: 'n', time: 5000 })
  markers.set('newer', { id: 'n', time: 5001 })
  assert.deepEqual([markers.get('newer')?.id, storage.getItem('read.newer') !== null], ['n', true], 'a full store makes room')
})

const tokens = (lives: number, asked: { n: number }) => () => Promise.resolve({ token: `t${++asked.n}`, expires: Date.now() + lives })

test('a clock that is ahead of the server\'s costs no question for each call', async () => {
  const asked = { n: 0 }
  let over = ''
  const http = new Http({ base: '', newToken: tokens(-7_200_000, asked), fetch: (_, init) => {
    const auth = new Headers(init!.headers).get('Authorization')
    return Promise.resolve(auth === over ? Response.json({ result: 'error-011' }, { status: 401 }) : Response.json({ result: 'ok' }))
  } })
  for (let i = 0; i < 5; i++) await http.call('findSessions')
  assert.equal(asked.n, 1)
  over = 'Bearer t1'
  for (let i = 0; i < 5; i++) await http.call('findSessions')
  assert.equal(asked.n, 2, 'the server says when it is over')
})

test('a download may take long, but not stand still, and says how far it is', async () => {
  const asked = { n: 0 }
  const body = (pieces: number, end: boolean) => {
    let n = 0
    return new ReadableStream({
      async pull(c) {
        if (n++ < pieces) {
          await new Promise((ok) => setTimeout(ok, 20))
          c.enqueue(new Uint8Array(10))
        } else if (end) c.close()
        else await new Promise(() => undefined)
      },
    })
  }
  const make = (stream: ReadableStream) => new Http({ base: '', newToken: tokens(3_600_000, asked), stall: 2_000, fetch: (_, init) => {
    init!.signal!.addEventListener('abort', () => undefined)
    return Promise.resolve(new Response(stream.pipeThrough(new TransformStream(), { signal: init!.signal! }), { headers: { 'Content-Type': 'image/png', 'Content-Length': '100' } }))
  } })
  const told: number[] = []
  const blob = await make(body(10, true)).file('/x', { onProgress: (got, total) => told.push(got / total) })
  assert.deepEqual([blob.size, blob.type, told.at(-1)], [100, 'image/png', 1])
  await assert.rejects(make(body(1, false)).file('/x'), (e) => e instanceof TlimError && e.code === 'timeout')
  const stop = new AbortController()
  const stopped = make(body(1, false)).file('/x', { signal: stop.signal, onProgress: () => stop.abort() })
  await assert.rejects(stopped, (e) => e instanceof TlimError && e.code === 'aborted')
})
