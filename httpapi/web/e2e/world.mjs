// What the browser tests share: a browser, people who are logged in, and the one who started servers and browser (a Go test), who is asked by HTTP to
// kill and start them.
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import path from 'node:path'
import { chromium } from 'playwright-core'

/** Given by the test that started this: see scripts/system/web_test.go. */
export const world = JSON.parse(process.env.TLIM_WEB_WORLD ?? 'null')
assert.ok(world, 'TLIM_WEB_WORLD says where tlim is')

// A machine that does other things as well may be slow; what is waited for comes in milliseconds otherwise.
export const patience = 90_000

export const browser = await chromium.launch({ executablePath: world.chromium, args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage'] })
const open = []

/** asks the starter: "kill/server", "start/server", "kill/tlim", "start/tlim", "revoke/<user>", "ping/<jid>", "odd/<user>": what no page sends. */
export async function ask(what) {
  const response = await fetch(`${world.control}/${what}`, { method: 'POST' })
  assert.equal(response.status, 200, `${what}: ${await response.text()}`)
}

/** call calls the HTTP API with the admin key. */
export async function call(endpoint, params) {
  const response = await fetch(`${world.url}/plugins/tlim/${endpoint}`, { method: 'POST', headers: { Authorization: `Bearer ${world.key}` }, body: new URLSearchParams(params) })
  const answer = await response.json()
  assert.equal(answer.result, 'ok', `${endpoint}: ${JSON.stringify(answer)}`)
  return answer
}

/** Person is one user in one page. */
export class Person {
  constructor(user, page, context) {
    Object.assign(this, { user, page, context, faults: [], jid: '' })
    page.on('pageerror', (e) => this.faults.push(`uncaught: ${e.stack}`))
    page.on('dialog', (d) => {
      this.faults.push(`a dialog opened: ${d.message()}`)
      void d.dismiss()
    })
    page.on('console', (m) => {
      // The network's own lines are no fault: servers are killed here.
      if (/Content Security Policy|violates|Vue warn/i.test(m.text())) this.faults.push(m.text())
    })
    const heard = (text) => (this.jid = /<jid[^>]*>([^<]+)<\/jid>/.exec(text)?.[1] ?? this.jid)
    page.on('response', async (r) => r.url().includes('/xmpp/') && heard(await r.text().catch(() => '')))
    page.on('websocket', (s) => s.on('framereceived', ({ payload }) => heard(String(payload))))
  }

  /** open opens a page of tlim's, and does not log in. */
  static async open(user, options, path) {
    const context = await browser.newContext({ viewport: { width: 1280, height: 820 }, locale: 'zh-CN', ...options })
    const page = await context.newPage()
    page.setDefaultTimeout(patience)
    const p = new this(user, page, context)
    open.push(p)
    await page.goto(world.url + path)
    return p
  }

  static async login(user, options = {}) {
    const p = await this.open(user, options, '/')
    await p.signIn()
    return p
  }

  async signIn() {
    await this.page.fill('input[name=username]', this.user)
    await this.page.fill('input[name=password]', `secret-${this.user}`)
    await this.page.click('button[type=submit]')
    await this.page.waitForSelector('.sidebar')
  }

  async end() {
    this.check()
    open.splice(open.indexOf(this), 1)
    await this.context.close()
  }

  /** check fails for what no test expects: an uncaught error, a dialog, a violated policy, a mark that a hostile message left. */
  check() {
    assert.deepEqual(this.faults, [], `faults in ${this.user}'s page`)
  }

  async say(text) {
    await this.page.fill('textarea', text)
    await this.page.press('textarea', 'Enter')
  }

  row(title) {
    return this.page.locator('.conversation').filter({ has: this.page.locator('.title', { hasText: title }) })
  }

  async go(title) {
    await this.row(title).click()
    await this.page.locator('.chat-title h1', { hasText: title }).waitFor()
  }

  /** message is the message that holds a text. */
  message(text) {
    return this.page.locator('article.message').filter({ hasText: text })
  }

  async sees(text) {
    await this.message(text).first().waitFor()
  }

  event(text) {
    return this.page.locator('.event', { hasText: text })
  }

  /** texts are what stands in the bubbles, in order. */
  texts() {
    return this.page.locator('.bubble').allInnerTexts()
  }

  async startChat(user) {
    await this.page.click('[aria-label="发起聊天"]')
    await this.page.click('.menu-item:has-text("发起聊天")')
    await this.page.fill('dialog input[type=search]', user)
    await this.page.locator('dialog .person', { hasText: user }).first().click()
    await this.page.waitForSelector('textarea')
  }

  shot(name) {
    return this.page.screenshot({ path: path.join(world.shots, `${name}.png`) })
  }

  /** accessible runs axe over what is on the screen. */
  async accessible(what) {
    // By the debugger's way in, which the page's own policy does not bind.
    await this.page.evaluate((await import('node:fs')).readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8'))
    const found = await this.page.evaluate(async () => (await globalThis.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })).violations)
    assert.deepEqual(found.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200)).join(' | ')}`), [], what)
  }
}

/** until polls a condition of a page or of the world. */
export async function until(what, ready) {
  const end = Date.now() + patience
  for (;;) {
    if (await ready()) return
    if (Date.now() > end) assert.fail(`waited in vain for: ${what}`)
    await new Promise((ok) => setTimeout(ok, 50))
  }
}

const steps = []
export const step = (name, run) => steps.push([name, run])

/** run runs the steps in order; the first that fails ends it, with a picture of every page. */
export async function run() {
  let failed = 0
  for (const [name, f] of steps) {
    const began = Date.now()
    try {
      await f()
      for (const p of open) p.check()
      console.log(`ok   ${name} (${Date.now() - began} ms)`)
    } catch (e) {
      failed++
      console.log(`FAIL ${name} (${Date.now() - began} ms)\n${e.stack}`)
      for (const p of open) {
        await p.shot(`failed-${p.user}`).catch(() => undefined)
        console.log(`${p.user}: ${p.faults.join('; ') || 'no faults'}; ${await p.texts().then((t) => JSON.stringify(t.slice(-10)), String)}`)
      }
      break
    }
  }
  await browser.close()
  console.log(`${steps.length - failed} of ${steps.length} steps, ${failed} failed`)
  process.exitCode = failed ? 1 : 0
}
