import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ending, fileName, oneLine, pieces } from '../../shared/text.ts'

test('a text that would make an expression look for ever is taken apart at once', () => {
  const began = Date.now()
  const text = `https://a.example/${'.'.repeat(300_000)}a ${'.'.repeat(60_000)}`
  assert.equal(pieces(text).map((p) => p.text).join(''), text)
  assert.ok(Date.now() - began < 20_000, `${Date.now() - began} ms`)
})

test('what follows an address is no part of it', () => {
  assert.deepEqual(pieces('(see https://a.example/b).').map((p) => [p.text, p.href]), [['(see ', undefined], ['https://a.example/b', 'https://a.example/b'], [').', undefined]])
  assert.equal(pieces('https://oa.example@evil.example/')[0]!.href, undefined)
})

test('a line has no marks of direction', () => {
  assert.equal(oneLine('a\u202eb\u061c\u2066c\n d'), 'abc d')
})

test('a line that is too long says so, and ends in no half of a sign', () => {
  assert.deepEqual([oneLine('12345', 5), oneLine('123456', 5), oneLine('123😀56', 5), oneLine(`${' '.repeat(20)}1`, 5)], ['12345', '1234…', '123…', '…'])
})

test("a file's name is one line, and a long one keeps what the file is", () => {
  assert.equal(fileName('photo\u202egnp.exe'), 'photognp.exe')
  assert.equal(fileName('a\u0000b\tc\u007f\n.pdf'), 'a b c .pdf')
  const long = `${'长'.repeat(300)}终稿.pdf`
  assert.deepEqual([fileName(long).length, fileName(long).slice(-8)], [120, '长…终稿.pdf'.slice(-8)])
  assert.equal(fileName(`x${'.'.repeat(200)}`, 10), 'x........…')
  assert.deepEqual([ending('路线图终稿.pdf'), ending('README'), ending('.profile'), ending('a.tar.gz')], ['终稿.pdf', '', '.profile', 'ar.gz'])
})
