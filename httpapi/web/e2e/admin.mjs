// An administrator uses the console in a real browser. See ../README.md.
import assert from 'node:assert/strict'
import { ask, Person, run, step, until, world } from './world.mjs'

const { writer, absent, there, waits, confirmed } = world

class Administrator extends Person {
  static async signedIn(options = {}) {
    const a = await this.open('administrator', options, '/admin')
    await a.enter(world.key)
    return a
  }

  async enter(key) {
    await this.page.fill('#key', key)
    await this.page.click('button[type=submit]')
    await this.page.waitForSelector('.console')
  }

  /** go goes to a view by its link, as people do. */
  async go(name) {
    const menu = this.page.locator('.nav-button')
    if (await menu.isVisible()) await menu.click()
    await this.page.locator('.side').getByRole('link', { name: new RegExp(`^${name}`) }).click() // some have a mark behind their name
    await this.page.locator('.side a[aria-current]', { hasText: name }).waitFor({ state: 'attached' })
  }

  get content() {
    return this.page.locator('#content')
  }

  toast(text) {
    return this.page.locator('.toast', { hasText: text }).first().waitFor()
  }

  /** loaded waits until nothing is asked for any more. */
  loaded() {
    return until('the view', async () => (await this.content.getByText('正在加载…').count()) === 0)
  }
}

let admin

step('a wrong key, and one that no header can hold, are refused in words; the right one opens it', async () => {
  admin = await Administrator.open('administrator', {}, '/admin')
  assert.equal(new URL(admin.page.url()).pathname, '/admin/')
  for (const wrong of ['not-the-key-of-anybody', '密钥']) {
    await admin.page.fill('#key', wrong)
    await admin.page.click('button[type=submit]')
    await admin.page.locator('.login-error', { hasText: '密钥不正确' }).waitFor()
    await until('the form', () => admin.page.locator('button[type=submit]').isEnabled())
  }
  await admin.accessible('the login')
  await admin.shot('login')
  await admin.enter(world.key)
  const kept = await admin.page.evaluate(() => [JSON.stringify({ ...localStorage }), document.cookie, location.href])
  assert.ok(kept.every((place) => !place.includes(world.key)), 'the key is kept in the tab only')
})

step('the state in one look, with plots', async () => {
  await admin.page.locator('.tile.good', { hasText: 'XMPP 连接' }).waitFor()
  await admin.page.locator('.tile.good', { hasText: '数据库' }).waitFor()
  await until('the plots', async () => (await admin.page.locator('.plot canvas').count()) === 6)
  await admin.accessible('the overview')
  await admin.shot('overview')
})

step('why did the phone not get this message? by user and id: it waits in the queue', async () => {
  await admin.page.fill('input[name=user]', absent)
  await admin.page.fill('input[name=msg_id]', waits)
  await admin.page.keyboard.press('Enter')
  await admin.page.locator('.verdict.wait h2', { hasText: '在离线队列中，等待手机来取' }).waitFor()
  await admin.page.locator('.verdict', { hasText: '怎么办' }).waitFor()
  await admin.page.locator('.timeline li').first().waitFor()
  await admin.accessible('a trace')
  await admin.shot('trace')
})

step('by user and time, without an id: the message is in the list, and its button says why', async () => {
  const { page } = admin
  await page.fill('input[name=msg_id]', '')
  const now = await page.evaluate(() => new Date(Date.now() - new Date().getTimezoneOffset() * 60_000).toISOString().slice(0, 16))
  await page.fill('input[name=time]', now)
  await page.click('.why button[type=submit]')
  const near = page.locator('.card-box', { hasText: '前后的消息' })
  await near.locator('tr', { hasText: writer }).first().waitFor()
  await page.locator('.card-box', { hasText: '离线队列' }).locator(`tr:has-text("${waits}") a:has-text("原因")`).click()
  await page.locator('.verdict.wait h2', { hasText: '在离线队列中' }).waitFor()
  await page.goBack()
  await near.locator('a:has-text("原因")').first().click()
  await page.locator('.verdict h2').waitFor()
})

step('who got it is told as well, and an id that never came', async () => {
  const { page } = admin
  await page.fill('input[name=user]', there)
  await page.fill('input[name=msg_id]', confirmed)
  await page.keyboard.press('Enter')
  await page.locator('.verdict.good h2', { hasText: '手机已经收到' }).waitFor()
  await page.fill('input[name=user]', '')
  await page.fill('input[name=msg_id]', 'never-came')
  await page.keyboard.press('Enter')
  await page.locator('.verdict h2', { hasText: '没有这条消息的任何记录' }).waitFor()
})

/** why asks as somebody who has a user and an id, and returns all that is said. */
async function why(user, id, verdict) {
  const { page } = admin
  await admin.go('消息追踪')
  await page.fill('input[name=user]', user)
  await page.fill('input[name=msg_id]', id)
  await page.keyboard.press('Enter')
  await page.locator('.verdict h2', { hasText: verdict }).waitFor()
  await page.locator('.verdict', { hasText: user || id }).waitFor()
  return admin.content.innerText()
}

step('a push that fails is said with its reason, in the verdict and among the pushes', async () => {
  const { page } = admin
  await why(world.asleep, world.unwoken, '在离线队列中')
  await page.locator('.verdict', { hasText: /推送（webhook）失败 \d+ 次.*原因：webhook: status 500/ }).waitFor()
  await admin.go('推送')
  if (!world.brief) await page.locator('.alarm', { hasText: '推送通道失败' }).filter({ hasText: 'status 500' }).waitFor() // known within 5 s
  await page.locator('tr', { hasText: world.asleep }).getByRole('link', { name: '追踪' }).click()
  await page.locator('.verdict', { hasText: 'status 500' }).waitFor()
})

step('a phone that went before it confirmed, and a message that was refused, which no list of messages has', async () => {
  const { page } = admin
  assert.match(await why(world.gone, world.dropped, '在离线队列中'), /消息已发给手机，但手机在确认之前断开/)
  assert.match(await why(absent, world.refused, '消息被拒绝'), /没有发给任何人。原因：text 超过 3000 个字符（error-012）/)
  await page.fill('input[name=msg_id]', '')
  await page.keyboard.press('Enter')
  await page.locator('tr', { hasText: 'text 超过 3000 个字符' }).locator('a:has-text("追踪")').click()
  await page.locator('.verdict.bad h2', { hasText: '消息被拒绝' }).waitFor()
  await admin.shot('refused')
})

step('a user and their queue; hostile names are text', async () => {
  const { page } = admin
  await admin.go('用户')
  await page.fill('#content input[type=search]', '<script>') // there may be many users
  await page.locator('.list-row', { hasText: '<script>alert(1)</script>' }).waitFor()
  await page.fill('#content input[type=search]', absent)
  await until('the one who is searched', async () => (await page.locator('.list-row').count()) === 1)
  await page.locator('.list-row', { hasText: '李四' }).click()
  await page.locator('.card-box', { hasText: '离线队列' }).locator('tr', { hasText: waits }).waitFor()
  await admin.accessible('a user')
  await admin.shot('user')
  await admin.go('群组')
  await page.locator('.list-row', { hasText: '<img src=x' }).first().click()
  await page.locator('tr', { hasText: '李四' }).waitFor()
  await page.locator('tr', { hasText: '<script>' }).waitFor()
  assert.equal(await page.locator('#content img, #content script').count(), 0)
  assert.ok((await page.title()).endsWith('· tlim'))
  await admin.shot('group')
})

step('tlim is killed: it is said in words, and the page comes back by itself, the view with it', async () => {
  const { page } = admin
  await ask('kill/tlim')
  await page.locator('.connection', { hasText: 'tlim 没有响应' }).waitFor()
  await admin.go('调用方')
  await page.locator('.failure', { hasText: '无法连接' }).waitFor()
  await admin.shot('away')
  await ask('start/tlim')
  await until('it is back', async () => (await page.locator('.connection.shown').count()) === 0)
  await page.locator('h2', { hasText: '没有密钥的调用' }).waitFor()
})

step('a key is made, shown once, used, ended, and all of it is in the audit log', async () => {
  const { page } = admin
  await admin.go('密钥与令牌')
  await page.click('button:has-text("新建密钥")')
  await page.fill('dialog input[name=name]', 'console-test')
  await page.locator('dialog label', { hasText: 'admin' }).locator('input').check()
  await page.click('dialog button:has-text("创建")')
  const secret = await page.locator('dialog .secret input').inputValue()
  assert.ok(secret.length >= 16)
  await page.click('dialog button:has-text("我已保存")')
  const row = page.locator('tr', { hasText: 'console-test' })
  await row.waitFor()
  assert.ok(!(await page.content()).includes(secret), 'the secret is shown once')

  const other = await Administrator.open('other', {}, '/admin/')
  await other.enter(secret)
  await row.locator('button:has-text("停用")').click()
  await page.click('dialog button.danger')
  await row.locator('.tag', { hasText: '已停用' }).waitFor()
  // The one who used it is back at the login, with words.
  await other.page.locator('.side').getByRole('link', { name: '用户', exact: true }).click()
  await other.page.locator('.login-error', { hasText: '密钥已失效' }).waitFor()
  await other.end()

  await admin.go('审计日志')
  await page.locator('tr', { hasText: '新建密钥' }).filter({ hasText: 'console-test' }).first().waitFor()
  await page.locator('tr', { hasText: '停用密钥' }).filter({ hasText: 'console-test' }).first().waitFor()
  await admin.shot('audit')
})

step('clean-up: counted, run after a word, and done', async () => {
  const { page } = admin
  await admin.go('数据清理')
  await page.click('button:has-text("试算")')
  await page.locator('tr', { hasText: 'ofmessage' }).waitFor()
  await page.click('button:has-text("立即清理")')
  await page.locator('dialog', { hasText: '无法恢复' }).waitFor()
  await page.click('dialog button.danger')
  await page.locator('.run h2', { hasText: '清理完成' }).waitFor()
  await admin.accessible('clean-up')
  await admin.shot('cleanup')
})

step('a message that waited longer than the queue is kept: so it is said, with the key', async () => {
  assert.match(await why(world.long, world.expired, '等待过久被清理'), /等满 1 天（cleanup.offline_days）后被清理/)
})

step('a notice, receiver by receiver, and those who have not read it are reminded', async () => {
  const { page } = admin
  await admin.go('通知')
  const notice = page.locator('.notice', { hasText: '工资条' })
  await notice.locator('button:has-text("接收人")').click()
  await notice.locator('tr', { hasText: absent }).waitFor()
  await admin.accessible('notices')
  await admin.shot('notices')
  await notice.locator('button:has-text("提醒未读")').click()
  await page.click('dialog button:has-text("提醒未读")')
  await admin.toast(/已提醒 \d+ 人/)
})

if (!world.brief) {
  step('tokens are revoked after a word', async () => {
    const { page } = admin
    await admin.go('密钥与令牌')
    await page.fill('input[name=revoke]', absent)
    await page.keyboard.press('Enter')
    await page.locator('dialog', { hasText: '立即失效' }).waitFor()
    await page.click('dialog button.danger')
    await admin.toast(`已吊销 ${absent} 的令牌`)
    await admin.shot('keys')
  })

  step('doctor looks, and the configuration holds no secret', async () => {
    const { page } = admin
    await admin.go('诊断')
    await page.click('button:has-text("重新检查")')
    await page.locator('.checks li').first().waitFor()
    await page.locator('button:has-text("重新检查"):enabled').waitFor()
    await admin.accessible('doctor')
    await admin.shot('doctor')
    await admin.go('配置')
    await page.fill('#content input[type=search]', 'xmpp.')
    await page.locator('tr', { hasText: 'xmpp.secret' }).waitFor()
    assert.ok(!(await page.content()).includes(world.key))
    await admin.shot('config')
  })

  step('what calls without a key is named', async () => {
    await fetch(`${world.url}/plugins/tlim/findSessions?user_id=${absent}`)
    await admin.go('调用方')
    await admin.page.locator('tr', { hasText: 'findSessions' }).first().waitFor()
    await admin.shot('callers')
  })

  const views = ['概览', '诊断', '推送', '调用方', '消息追踪', '用户', '群组', '通知', '密钥与令牌', '数据清理', '配置', '审计日志']
  const english = ['Overview', 'Doctor', 'Pushes', 'Callers', 'Trace', 'Users', 'Groups', 'Notices', 'Keys and tokens', 'Clean-up', 'Configuration', 'Audit log']

  step('every view, dark, in English', async () => {
    const { page } = admin
    await page.click('[aria-label="菜单"]')
    await page.click('.choice:has-text("English")')
    await page.click('.choice:has-text("Dark")')
    await page.keyboard.press('Escape')
    for (const view of english) {
      await admin.go(view)
      await until(view, async () => (await admin.content.getByText('Loading…').count()) === 0)
      await admin.accessible(`${view}, dark`)
      await admin.shot(`dark-${view.toLowerCase().replaceAll(' ', '-')}`)
    }
    assert.doesNotMatch(await admin.content.innerText(), /[\u4e00-\u9fff]/u)
  })

  step('every view on a phone: nothing is wider than the screen', async () => {
    const phone = await Administrator.signedIn({ viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
    for (const view of views) {
      await phone.go(view)
      await phone.loaded()
      await phone.accessible(`${view} on a phone`)
      assert.ok(await phone.content.evaluate((c) => c.scrollWidth <= c.clientWidth), `${view} is too wide`)
      await phone.shot(`phone-${views.indexOf(view)}`)
    }
    await phone.end()
  })

  step('by keyboard alone: from the login to the answer', async () => {
    const keys = await Administrator.open('keys', {}, '/admin/')
    const { keyboard } = keys.page
    await until('the field', () => keys.page.evaluate(() => document.activeElement?.id === 'key'))
    await keyboard.type(world.key)
    await keyboard.press('Enter')
    await keys.page.waitForSelector('input[name=user]')
    await keyboard.press('Tab')
    assert.equal(await keys.page.evaluate(() => document.activeElement?.className), 'skip')
    await keyboard.press('Enter')
    await keyboard.press('Tab')
    await keyboard.type(absent)
    await keyboard.press('Tab')
    await keyboard.type(waits)
    await keyboard.press('Enter')
    await keys.page.locator('.verdict.wait h2').waitFor()
    await keys.end()
  })

  step('10,000 users scroll', async () => {
    const { page } = admin
    const answer = (after) => ({ users: Array.from({ length: 200 }, (_, i) => ({ user_id: `many${String(after + i).padStart(5, '0')}`, user_name: `同事 ${after + i}`, left: false, learned: false, confirms: 'pings', online: [] })) })
    await page.route('**/admin/users', (route) => {
      const after = Number(new URLSearchParams(route.request().postData()).get('after') || 0)
      return route.fulfill({ json: { ...answer(after), ...(after + 200 < 10_000 ? { next: String(after + 200) } : {}), presence: true, result: 'ok', result_detail: '' } })
    })
    await admin.go('Users')
    await until('the end', async () => {
      await page.locator('.list').evaluate((b) => b.scrollTo(0, b.scrollHeight))
      return (await page.locator('.list-row', { hasText: 'many09999' }).count()) === 1
    })
    assert.ok((await page.locator('.list-row').count()) < 60, 'only the rows that are seen exist')
    await page.unroute('**/admin/users')
  })
}

step('out, and the tab has no key any more', async () => {
  const { page } = admin
  await page.click('[aria-label="菜单"], [aria-label="Menu"]')
  await page.click('.menu-item')
  await page.waitForSelector('#key')
  assert.equal(await page.evaluate(() => sessionStorage.length), 0)
  await admin.end()
})

await run()
