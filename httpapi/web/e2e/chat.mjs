// Two and more people in real pages, on a real server. Started by scripts/system/web_test.go.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Person, ask, browser, call, run, step, until, world } from './world.mjs'

const [zs, ls, ww] = world.users
let zhang, li

step('a wrong password is refused in words', async () => {
  zhang = await Person.login(zs)
  const page = zhang.page
  await page.click('[aria-label="菜单"]')
  await page.click('.menu-item:has-text("退出登录")')
  await page.fill('input[name=password]', 'wrong')
  await page.click('button[type=submit]')
  await page.locator('.login-error', { hasText: '账号或密码不正确' }).waitFor()
  await zhang.accessible('the login')
  await zhang.shot('login')
  await zhang.signIn()
})

step('a text goes both ways, is acknowledged, counted as unread and as read', async () => {
  li = await Person.login(ls)
  await zhang.startChat(ls)
  await zhang.say('你好，今天的周报写好了吗？')
  await zhang.page.locator('article.mine[data-status=sent]').waitFor()
  await li.row('张三').locator('.badge').waitFor()
  await li.go('张三')
  await li.sees('今天的周报')
  await zhang.page.locator('article.mine .seen', { hasText: '已读' }).waitFor()
  await until('no badge is left', async () => (await li.page.locator('.badge').count()) === 0)
  await li.page.locator('.chat-title p', { hasText: '在线' }).waitFor() // neither has the other in a roster
  await li.say('还差最后一段，下午三点前发你。')
  await zhang.sees('还差最后一段')
  await zhang.shot('one-to-one')
})

if (world.bosh) {
  step('an emoji is picked by keyboard; an upload shows how far it is, is cancelled, fails in words and is tried again', async () => {
    const { page } = zhang
    await page.click('[aria-label="表情"]')
    await page.locator('.emoji-picker button:focus').waitFor()
    await page.keyboard.press('ArrowRight')
    await page.keyboard.press('Enter')
    await page.locator('.emoji-picker').waitFor({ state: 'detached' })
    await page.keyboard.press('Enter')
    await li.page.locator('.bubble.big', { hasText: '😁' }).waitFor()
    await page.click('[aria-label="表情"]')
    await page.keyboard.press('Escape')
    await page.locator('.emoji-picker').waitFor({ state: 'detached' })

    const line = await zhang.context.newCDPSession(page)
    const speed = (uploadThroughput) => line.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput })
    const file = (name, bytes) => page.setInputFiles('input[type=file] >> nth=1', { name, mimeType: 'application/octet-stream', buffer: Buffer.alloc(bytes, 'x') })
    await speed(500_000)
    await file('不要了.bin', 3_000_000)
    await until('it is on its way', () => page.locator('.uploads progress').evaluate((p) => p.value > 0 && p.value < p.max))
    await page.click('[aria-label="取消上传"]')
    await page.locator('.uploads').waitFor({ state: 'detached' })
    await speed(-1)
    await line.detach()
    await page.route('**/uploadForJsonFileId', (route) => route.abort('connectionreset'))
    await file('再来一次.bin', 3_000)
    await page.locator('.uploads .failed', { hasText: '上传失败：无法连接到服务器' }).waitFor()
    await page.unroute('**/uploadForJsonFileId')
    await page.click('.uploads button:has-text("重试")')
    await li.page.locator('.file-card', { hasText: '再来一次' }).waitFor()
    assert.equal(await li.page.locator('.file-card', { hasText: '不要了' }).count(), 0)
  })
}

if (!world.brief) {
  step('the page answers pings', async () => {
    await until('the address of the page', () => li.jid)
    await ask(`ping/${encodeURIComponent(li.jid)}`)
  })
}

const hostile = [
  '<img src=x onerror="globalThis.xss=1"><script>globalThis.xss=2</script><b>bold</b>',
  '"><svg onload=globalThis.xss=3> javascript:globalThis.xss=4 data:text/html,<script>globalThis.xss=5</script>',
  '{{globalThis.xss=6}} ${globalThis.xss=7} [x](javascript:globalThis.xss=8) ]]> &lt;i&gt;',
  '\u202e\u2066gnp.exe\u2069 https://oa.example.com/\u202egnp.exe https://user:pass@evil.example/',
]

step('a hostile message is text', async () => {
  for (const text of hostile) await zhang.say(text)
  await zhang.say('https://oa.example.com/report?id=1&x=<b>。')
  await li.sees('report?id=1')
  const texts = await li.texts()
  for (const text of hostile) assert.ok(texts.includes(text), `it is shown as it was written: ${text}`)
  for (const p of [zhang, li]) {
    assert.equal(await p.page.locator('.messages script, .messages b, .messages i, .messages img, .messages svg[onload]').count(), 0)
    assert.equal(await p.page.evaluate(() => globalThis.xss), undefined)
  }
  const links = await li.page.locator('.bubble a').evaluateAll((all) => all.map((a) => [a.href, a.textContent, a.rel, a.target]))
  assert.deepEqual(links.map(([href]) => href), ['https://oa.example.com/', 'https://oa.example.com/report?id=1&x='])
  for (const [href, text, rel, target] of links) {
    assert.equal(new URL(text).href, href, 'what is shown is what opens')
    assert.ok(rel.includes('noopener') && rel.includes('noreferrer') && target === '_blank')
  }
})

step('a business message is a card; its hostile fields are text, its hostile link none', async () => {
  const item = { title: '<img src=x onerror=globalThis.xss=9>九月工资条', content: '已发放 <script>globalThis.xss=10</script>\n' + '长'.repeat(20_000), ts: String(Date.now()), url: 'javascript:globalThis.xss=11', type: '3', typeName: '<b>工资条</b>' }
  await call('systemMessage', { params: JSON.stringify([item]), msgTo: ls })
  await call('systemMessage', { params: JSON.stringify([{ title: '十月工资条', content: '已发放', url: 'https://hr.example.com/1', type: '3' }]), msgTo: ls })
  await call('approval', { params: JSON.stringify([{ bizId: '1', docTitle: '请假申请（年假 3 天）', taskId: '2' }]), msgTo: ls })
  await li.row('系统消息').locator('.badge', { hasText: '3' }).waitFor()
  await li.go('系统消息')
  await li.sees('请假申请')
  await li.sees('九月工资条')
  assert.deepEqual(await li.page.locator('.card a').evaluateAll((all) => all.map((a) => a.href)), ['https://hr.example.com/1'])
  assert.equal(await li.page.locator('.card img, .card script, .card b').count(), 0)
  assert.equal(await li.page.evaluate(() => globalThis.xss), undefined)
  await li.accessible('the system messages')
  await li.shot('system')
  await call('systemMessage', { params: JSON.stringify(Array.from({ length: 23 }, (_, i) => ({ title: `第 ${i + 1} 项`, content: '已发放', type: '3' }))), msgTo: ls })
  await li.page.locator('button', { hasText: '展开其余 3 条' }).click()
  await li.page.locator('.card', { hasText: '第 23 项' }).waitFor()
  await li.go('张三')
})

if (!world.brief) {
  step('what no page sends is shown, too: a clock that is no date, unknown kinds, 40 KB, as many tags as a text takes, fields of other types', async () => {
    await ask(`odd/${ls}`)
    await li.row('王五').locator('.badge', { hasText: '5' }).waitFor()
    await li.go('王五')
    const scroll = (to) => li.page.locator('.messages').evaluate((b, end) => b.scrollTo(0, end ? b.scrollHeight : 0), to === 'end')
    await scroll('start') // only what is near the screen is in the page
    await li.sees('来自未来')
    await li.sees('暂不支持的消息类型 MTT-constructor')
    await li.message('很长').locator('button', { hasText: '展开全文' }).click()
    await li.sees('到此为止')
    await scroll('end')
    await li.message('<script>globalThis.xss=12</script>').locator('.bubble').waitFor()
    assert.equal(await li.page.locator('.messages script, .messages b, .messages img').count(), 0)
    assert.equal(await li.page.evaluate(() => globalThis.xss), undefined)
    await li.shot('odd')
    await li.go('张三')
  })

  // A text of people has 3,000 characters at most; a notice may be as long as limits.body.
  step('60 KiB of tags, scripts, marks of direction and links are text', async () => {
    const [first, last] = ['六十千开始', '六十千结束']
    const piece = '<script>globalThis.xss=13</script><img src=x onerror=globalThis.xss=14>\u202egnp.exe\u2066 javascript:globalThis.xss=15 https://oa.example.com/x?a=<b>\n'
    const content = first + piece.repeat((60 * 1024 - 40) / Buffer.byteLength(piece)) + last
    assert.ok(Buffer.byteLength(content) > 59 * 1024)
    await call('systemMessage', { params: JSON.stringify([{ title: '六十千', content, type: '3' }]), msgTo: ls })
    await li.row('系统消息').locator('.badge').waitFor()
    await li.go('系统消息')
    const card = li.page.locator('.card', { hasText: first })
    await card.waitFor()
    assert.ok(!(await card.textContent()).includes(last), 'only its beginning at first')
    const began = Date.now()
    await card.locator('button', { hasText: '展开全文' }).click()
    await li.page.locator('.card', { hasText: last }).waitFor()
    console.log(`     60 KiB were shown within ${Date.now() - began} ms`)
    assert.ok((await card.locator('.card-text').textContent()).includes(content), 'all of it is shown, as it was written')
    assert.equal(await card.locator('script, img, b').count(), 0)
    assert.deepEqual([...new Set(await card.locator('a').evaluateAll((all) => all.map((a) => a.href)))], ['https://oa.example.com/x?a='])
    assert.equal(await li.page.evaluate(() => globalThis.xss), undefined)
    await card.locator('button', { hasText: '收起' }).click()
    await until('only its beginning', async () => !(await card.textContent()).includes(last))
    await li.go('张三')
  })

  step('pictures, files and voice', async () => {
    await zhang.page.setInputFiles('input[type=file] >> nth=0', path.join(world.shots, 'one-to-one.png'))
    await zhang.page.setInputFiles('input[type=file] >> nth=1', { name: '路线图 <b>终稿</b>.pdf', mimeType: 'application/pdf', buffer: Buffer.alloc(300_000, 'x') })
    await zhang.page.setInputFiles('input[type=file] >> nth=1', { name: '留言.wav', mimeType: 'audio/wav', buffer: silence() })
    await li.page.locator('.picture img').waitFor()
    await until('the picture is drawn', () => li.page.locator('.picture img').evaluate((img) => img.complete && img.naturalWidth > 0))
    await li.page.click('.picture')
    await li.page.locator('.lightbox img').waitFor()
    await li.page.keyboard.press('Escape')
    const [download] = await Promise.all([li.page.waitForEvent('download'), li.page.locator('.file-card', { hasText: '路线图' }).click()])
    assert.equal(readFileSync(await download.path()).length, 300_000)
    await li.page.locator('[aria-label="播放语音"]').click()
    await li.page.locator('audio').waitFor()
    assert.equal(await li.page.locator('.file-card b').count(), 0)
    await li.shot('files')
  })

  step('what is no picture is never carried out: chosen as one, and opened by its address', async () => {
    const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="50" height="50" onload="globalThis.xss=20"><script>globalThis.xss=21;document.title="hurt"</script></svg>'
    const both = Buffer.concat([Buffer.from('GIF89a/*'), Buffer.alloc(20), Buffer.from('*/=1;document.title="hurt";<html><script>document.title="hurt"</script>')])
    const uploads = []
    const noted = async (r) => r.url().includes('uploadForJsonFileId') && uploads.push((await r.json()).fileId)
    zhang.page.on('response', noted)
    await zhang.page.setInputFiles('input[type=file] >> nth=0', { name: '红色方块.svg', mimeType: 'image/svg+xml', buffer: Buffer.from(svg) })
    await li.page.locator('.file-card', { hasText: '红色方块' }).waitFor() // a file, for it is no picture
    await zhang.page.setInputFiles('input[type=file] >> nth=0', { name: '两样.gif', mimeType: 'image/gif', buffer: both })
    const broken = li.page.locator('.picture', { hasText: '无法预览' })
    await broken.click()
    await li.page.locator('.lightbox', { hasText: '不是浏览器能显示的图片' }).waitFor()
    await li.page.keyboard.press('Escape')
    await until('both ids', () => uploads.length === 2)
    zhang.page.off('response', noted)
    const asked = li.page.waitForRequest((r) => r.headers()['authorization'])
    await li.page.locator('.file-card', { hasText: '红色方块' }).click()
    const token = (await asked).headers()['authorization'].slice('Bearer '.length)
    for (const id of uploads) {
      const tab = await li.context.newPage()
      const saved = tab.waitForEvent('download')
      await tab.goto(`${world.url}/upload/mobileFileDownload?fileId=${id}&access_token=${token}`).catch(() => undefined) // it leads to no page
      await saved
      assert.equal(await tab.title(), '')
      await tab.close()
    }
    for (const p of [zhang, li]) assert.equal(await p.page.evaluate(() => globalThis.xss), undefined)
  })

  step('a message is revoked, for both', async () => {
    await zhang.say('这条发错了')
    await li.sees('这条发错了')
    const m = zhang.message('这条发错了')
    await m.hover()
    await m.locator('button', { hasText: '撤回' }).click()
    await li.event('张三撤回了一条消息').waitFor()
    await zhang.event('你撤回了一条消息').waitFor()
    assert.equal(await li.message('这条发错了').count(), 0)
    assert.equal(await zhang.message('这条发错了').count(), 0)
  })

  step('a robot is marked; its file without a name is shown', async () => {
    const { secret } = await call('admin/keys/new', { name: `alarms-${Date.now()}`, scopes: 'business', robot_id: 'alarm-bot', robot_name: '告警助手' })
    const speak = async (params) => {
      const response = await fetch(`${world.url}/plugins/tlim/sendMessage`, { method: 'POST', headers: { Authorization: `Bearer ${secret}` }, body: new URLSearchParams({ to: ls, ...params }) })
      const answer = await response.json()
      assert.equal(answer.result, 'ok', JSON.stringify(answer))
    }
    await speak({ content: 'web-1 磁盘已满 95%，请处理。' })
    await li.row('告警助手').locator('.tag', { hasText: '机器人' }).waitFor()
    await li.go('告警助手')
    await li.sees('磁盘已满')
    await li.page.locator('.chat-title .tag', { hasText: '机器人' }).waitFor()
    await li.message('磁盘已满').locator('.byline .tag', { hasText: '机器人' }).waitFor()
    const form = new FormData()
    form.set('user_id', 'alarm-bot')
    form.set('mFile', new Blob(['id,level\n1,high\n'], { type: 'text/csv' }), 'alarms.csv')
    const uploaded = await fetch(`${world.url}/mobileHttpController/uploadForJsonFileId`, { method: 'POST', headers: { Authorization: `Bearer ${secret}` }, body: form })
    const { fileId } = await uploaded.json()
    assert.ok(fileId)
    await speak({ type: 'file', content: fileId })
    const [download] = await Promise.all([li.page.waitForEvent('download'), li.page.locator('.file-card', { hasText: '未命名的文件' }).click()])
    assert.equal(readFileSync(await download.path(), 'utf8'), 'id,level\n1,high\n')
    await li.accessible('a robot')
    await li.shot('robot')
    await li.go('张三')
  })

  step('a group: made, written in, read by some, renamed, with an announcement', async () => {
    const page = zhang.page
    await page.click('[aria-label="发起聊天"]')
    await page.click('.menu-item:has-text("创建群聊")')
    await page.fill('dialog .field input', '产品研发周会')
    for (const user of [ls, ww]) {
      await page.fill('dialog input[type=search]', user)
      await page.locator('dialog .person', { hasText: user }).first().click()
    }
    await zhang.accessible('the dialog')
    await page.click('dialog button[type=submit]')
    await page.locator('.chat-title h1', { hasText: '产品研发周会' }).waitFor()
    await zhang.say('大家好，本周的版本计划请看一下。')
    await li.go('产品研发周会')
    await li.sees('本周的版本计划')
    await li.say('收到 👍')
    await zhang.sees('收到')
    await page.locator('.read-count', { hasText: '1 人已读' }).first().click()
    await page.locator('.readers section', { hasText: '已读 1' }).locator('bdi', { hasText: '李四' }).waitFor()
    await page.locator('.readers section', { hasText: '未读 1' }).locator('bdi', { hasText: '王五' }).waitFor()
    await page.keyboard.press('Escape')

    await page.click('[aria-label="会话详情"]')
    await page.click('text=修改群名称')
    await page.fill('.rename input', '产品研发')
    await page.keyboard.press('Enter')
    await li.event('张三将群名称改为“产品研发”').waitFor()
    await li.page.locator('.chat-title h1', { hasText: /^产品研发$/ }).waitFor()

    await page.click('[aria-label="发布公告"]')
    await page.fill('dialog input', '放假安排 <i>')
    await page.fill('dialog textarea', '10 月 1 日至 7 日放假。')
    await page.click('dialog button[type=submit]')
    await page.locator('.announcement h4', { hasText: '放假安排 <i>' }).waitFor()

    await page.locator('.announcement button', { hasText: '修改' }).click()
    await page.fill('dialog textarea', '10 月 1 日至 8 日放假。')
    await page.click('dialog button[type=submit]')
    await page.locator('.announcement', { hasText: '1 日至 8 日' }).waitFor()
    await page.locator('.announcement button', { hasText: '删除' }).click()
    await page.click('dialog .danger')
    await page.locator('.announcement').waitFor({ state: 'detached' })

    await page.click('.members [aria-label="移出群聊 王五"]')
    await page.click('dialog .danger')
    await page.locator('h3', { hasText: '2 位成员' }).waitFor()
    for (const [p, who] of [[zhang, '你'], [li, '张三']]) await p.event(`${who}将王五移出了群聊`).waitFor()
    await page.click('.details [aria-label="邀请成员"]')
    await page.fill('dialog input[type=search]', ww)
    await page.locator('dialog .person', { hasText: ww }).first().click()
    await page.click('dialog button[type=submit]')
    await page.locator('h3', { hasText: '3 位成员' }).waitFor()
    for (const [p, who] of [[zhang, '你'], [li, '张三']]) await p.event(`${who}邀请王五加入了群聊`).waitFor()
    await zhang.event('你将群名称改为“产品研发”').waitFor()

    await page.fill('.details input[type=search]', '版本计划')
    await page.keyboard.press('Enter')
    await page.locator('.result', { hasText: '版本计划' }).click()
    await page.locator('.row.found', { hasText: '版本计划' }).waitFor()
    await until('all of it is on the screen: nothing leads to its end', async () => (await page.locator('.to-end').count()) === 0)
    await zhang.accessible('a group with its details')
    await zhang.shot('group')
    await page.click('.details [aria-label="关闭"]')
  })

  step('a member leaves; the group is dissolved', async () => {
    await li.page.click('[aria-label="会话详情"]')
    await li.page.click('.ways-out button:has-text("退出群聊")')
    await li.page.click('dialog .danger')
    await until('it is gone from the list', async () => (await li.row('产品研发').count()) === 0)
    await zhang.event('李四退出了群聊').waitFor()
    await zhang.page.click('[aria-label="会话详情"]')
    await zhang.page.locator('h3', { hasText: '2 位成员' }).waitFor()
    await zhang.page.click('.ways-out button:has-text("解散群聊")')
    await zhang.page.click('dialog .danger')
    await until('it is gone from the list', async () => (await zhang.row('产品研发').count()) === 0)
  })

  step('another device of the same user has what this one writes and reads', async () => {
    await zhang.go('李四')
    await li.go('张三')
    const other = await Person.login(zs, { viewport: { width: 390, height: 780 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 })
    await other.go('李四')
    await other.sees('还差最后一段')
    await zhang.say('从电脑上发的')
    await other.sees('从电脑上发的')
    await other.say('从手机网页上发的')
    await zhang.sees('从手机网页上发的')
    await li.sees('从手机网页上发的')
    await other.accessible('a narrow screen')
    await other.shot('phone')
    for (const width of [390, 320, 640]) { // 640: a screen of 1,280 at 200 %
      await other.page.setViewportSize({ width, height: 568 })
      await other.page.click('[aria-label="会话详情"]')
      assert.equal(await other.page.locator('.details').evaluate((d) => d.offsetWidth), width, 'the details have the whole screen')
      await other.page.click('.details [aria-label="关闭"]')
      assert.ok(await other.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `nothing is wider than ${width}`)
    }
    await other.page.setViewportSize({ width: 390, height: 780 })
    await other.page.goBack()
    await other.page.locator('.sidebar').waitFor()
    await other.shot('phone-list')
    await other.end()
  })

  step('a history is cleared when the other one agrees', async () => {
    await zhang.page.click('[aria-label="会话详情"]')
    await zhang.page.click('.ways-out button:has-text("请求清空聊天记录")')
    await zhang.page.click('dialog .primary')
    await zhang.page.click('.details [aria-label="关闭"]')
    await li.event('张三请求清空聊天记录').locator('button', { hasText: '同意' }).click()
    await li.page.click('dialog .danger')
    await zhang.event('李四同意清空聊天记录').waitFor()
    for (const p of [zhang, li]) await until('all that was said is gone', async () => (await p.texts()).length === 0)
  })

  step('what came while nobody was there is unread at the next login, and the history pages backwards', async () => {
    await li.end()
    for (let i = 0; i < 130; i++) await zhang.say(`第 ${i} 条`)
    await until('all are stored', async () => (await zhang.page.locator('article.mine:not([data-status=sent])').count()) === 0)
    li = await Person.login(ls)
    await li.row('张三').locator('.badge').waitFor()
    await li.go('张三')
    await li.sees('第 129 条')
    const seen = new Set()
    const box = li.page.locator('.messages')
    await until('the first of them', async () => {
      await box.evaluate((b) => b.scrollTo(0, 0))
      for (const t of await li.texts()) if (/^第 \d+ 条$/.test(t)) seen.add(t)
      return seen.has('第 0 条')
    })
  })

  step('a token that was revoked is replaced by itself', async () => {
    await ask(`revoke/${ls}`)
    await li.page.click('[aria-label="会话详情"]')
    await li.page.fill('.details input[type=search]', '第 77 条')
    await li.page.keyboard.press('Enter')
    await li.page.locator('.result', { hasText: '第 77 条' }).click()
    await li.page.locator('.row.found', { hasText: '第 77 条' }).waitFor()
    await li.page.click('.details [aria-label="关闭"]')
    await li.page.click('.to-end')
  })

  step('tlim is killed and comes back: what was written in between arrives once', async () => {
    await ask('kill/tlim')
    await zhang.say('tlim 不在时写的')
    await zhang.page.locator('article[data-status=pending]', { hasText: 'tlim 不在时写的' }).waitFor()
    await ask('start/tlim')
    await li.sees('tlim 不在时写的')
    await zhang.page.locator('article[data-status=sent]', { hasText: 'tlim 不在时写的' }).waitFor()
  })
}

if (world.bosh) {
  step('what was in an answer of the server that never came is seen all the same', async () => {
    let lost = ''
    let over = false
    await li.page.route('**/xmpp/bosh', async (route) => {
      if (over) return route.continue()
      const rid = /rid=["']?(\d+)/.exec(route.request().postData())?.[1]
      // Openfire 4.2 takes what it wrote into a dead connection for delivered: the repeated request gets what came later, here nothing.
      if (lost && rid === lost) return route.fulfill({ contentType: 'text/xml', body: '<body xmlns="http://jabber.org/protocol/httpbind"/>' })
      const answer = await route.fetch({ timeout: 0 }).catch(() => null)
      if (!answer) return route.abort()
      if (lost || !(await answer.text()).includes('丢在路上的')) return route.fulfill({ response: answer })
      lost = rid
      return route.abort('connectionreset')
    })
    await zhang.say('路上的第一条') // comes by the request that was under way before
    await li.sees('路上的第一条')
    await zhang.say('丢在路上的')
    await li.sees('丢在路上的')
    assert.ok(lost, 'the answer with the message was thrown away')
    over = true
    await zhang.say('后来的')
    await li.sees('后来的')
    assert.deepEqual((await li.texts()).filter((t) => /丢在路上的|后来的/.test(t)), ['丢在路上的', '后来的'])
  })
}

step('the server is killed and comes back: it is said in words, and nothing is lost or doubled', async () => {
  await zhang.say('断线之前')
  await li.sees('断线之前')
  await ask('kill/server')
  await zhang.page.locator('.connection', { hasText: /重试|重新连接/ }).waitFor()
  await zhang.say('断线时写的')
  await zhang.page.locator('article[data-status=pending]', { hasText: '断线时写的' }).waitFor()
  await zhang.page.locator('.chat-title p', { hasText: '在线状态未知' }).waitFor()
  assert.equal(await zhang.page.locator('.conversation .dot').count(), 0, 'of nobody it is known whether they are there')
  await zhang.shot('away')
  await ask('start/server')
  // By itself it would take half a minute at most; the browser says that the network is back.
  for (const p of [zhang, li]) {
    await until('the stream is up', async () => {
      await p.page.evaluate(() => globalThis.dispatchEvent(new Event('online')))
      return (await p.page.locator('.connection.shown').count()) === 0
    })
  }
  await li.sees('断线时写的')
  await zhang.page.locator('article[data-status=sent]', { hasText: '断线时写的' }).waitFor()
  await zhang.page.locator('.chat-title p', { hasText: /^在线$/ }).waitFor()
  await li.say('我也回来了')
  await zhang.sees('我也回来了')
  for (const p of [zhang, li]) {
    assert.deepEqual((await p.texts()).filter((t) => /断线|我也回来了/.test(t)), ['断线之前', '断线时写的', '我也回来了'])
  }
})

if (!world.brief) {
  step('a page that is closed while it cannot send sends at its next login', async () => {
    await ask('kill/tlim')
    await zhang.say('关闭页面之前写的')
    await zhang.page.locator('article[data-status=pending]', { hasText: '关闭页面之前写的' }).waitFor()
    await zhang.page.goto('about:blank')
    await ask('start/tlim')
    await zhang.page.goto(`${world.url}/`)
    await zhang.signIn()
    await li.sees('关闭页面之前写的')
    await zhang.go('李四')
    await zhang.page.locator('article[data-status=sent]', { hasText: '关闭页面之前写的' }).waitFor()
    assert.equal(await zhang.message('关闭页面之前写的').count(), 1)
  })

  step('at the login: tlim, then the server is away; it is said in words, and the login goes on by itself', async () => {
    for (const what of ['tlim', 'server']) {
      const p = await Person.open(ww, {}, '/')
      await p.page.waitForSelector('input[name=password]')
      await ask(`kill/${what}`)
      await p.page.fill('input[name=username]', ww)
      await p.page.fill('input[name=password]', `secret-${ww}`)
      await p.page.click('button[type=submit]')
      await p.page.locator('.login-error', { hasText: '无法连接到服务器 · 正在重试，恢复后自动登录' }).waitFor()
      await ask(`start/${what}`)
      await p.page.waitForSelector('.sidebar')
      await p.end()
    }
    // And where the page cannot ask what it needs before a login.
    const p = await Person.open(ww, {}, '/')
    let away = true
    await p.page.route('**/web/config.json', (route) => (away ? route.abort() : route.continue()))
    await p.page.reload()
    await p.page.locator('.splash', { hasText: '正在重试' }).waitFor()
    away = false
    await p.page.waitForSelector('input[name=password]')
    await p.end()
    await zhang.page.locator('.connection.shown').waitFor({ state: 'detached' })
  })

  step('two users in two tabs of one browser, one of them with a clock that is an hour off', async () => {
    for (const off of [3_600_000, -3_600_000]) {
      const tab = await zhang.context.newPage()
      await tab.addInitScript((by) => {
        const real = Date
        globalThis.Date = class extends real {
          constructor(...of) {
            super(...(of.length ? of : [real.now() + by]))
          }
          static now() {
            return real.now() + by
          }
        }
      }, off)
      const wang = new Person(ww, tab, zhang.context)
      await tab.goto(`${world.url}/`)
      await wang.signIn()
      await wang.startChat(ls)
      const [theirs, mine] = [`时钟偏差 ${off}`, `同一浏览器 ${off}`]
      await wang.say(theirs)
      await zhang.say(mine)
      await tab.locator('article[data-status=sent]', { hasText: theirs }).waitFor()
      await zhang.page.locator('article[data-status=sent]', { hasText: mine }).waitFor()
      await li.sees(mine)
      assert.equal(await wang.message(mine).count() + await zhang.message(theirs).count(), 0, 'each has their own')
      // Messages that stand together have one time, above them: where many do it is out of sight.
      for (const told of await tab.locator('article time').evaluateAll((all) => all.slice(-1).map((one) => one.dateTime))) assert.ok(Math.abs(new Date(told).getTime() - Date.now()) < 5 * 60_000, `the time is the server's: ${told}`)
      wang.check()
      await tab.close()
    }
  })

  step('by keyboard alone, in English, dark', async () => {
    const page = li.page
    await page.click('[aria-label="菜单"]')
    await page.click('.choice:has-text("English")')
    await page.click('.choice:has-text("深色"), .choice:has-text("Dark")')
    await page.keyboard.press('Escape')
    await page.locator('[data-row="0"]').focus()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('Enter')
    await page.locator('[data-row="1"][aria-current=true]').waitFor()
    await page.locator('textarea:focus').waitFor() // who opens a conversation wants to write
    await page.locator('[data-row="1"]').focus()
    await page.keyboard.press('ArrowUp')
    await page.keyboard.press('Enter')
    await page.locator('[data-row="0"][aria-current=true]').waitFor()
    await page.locator('textarea').focus()
    await page.keyboard.type('typed')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('in two lines')
    await page.keyboard.press('Enter')
    await zhang.sees('typed\nin two lines')
    await page.getByLabel('Write a message').waitFor()
    await li.accessible('dark')
    await li.shot('dark')
  })

  step('10,000 conversations and 100,000 messages scroll', async () => {
    const page = zhang.page
    const sessions = Array.from({ length: 10_000 }, (_, i) => ({ session_id: `many${i}`, session_name: `同事 ${i}`, session_type: 99, session_user: zs, session_modify_time: String(2e12 - i) }))
    const list = Array.from({ length: 100_000 }, (_, i) => ({ msg_id: `h${i}`, msg_type: 'MTT-000', msg_from: i % 3 ? 'many0' : zs, msg_to: zs, msg_time: String(1.9e12 - i * 60_000), session_id: 'many0', body: JSON.stringify([{ text: `历史消息 ${i} ${'很长'.repeat(i % 40)}` }]) }))
    const answer = (body) => (route) => route.fulfill({ json: { result: 'ok', result_detail: '', ...body } })
    await page.route('**/findWebSessions', answer({ sessions }))
    await page.route('**/findChatHistory', (route) => {
      const asked = new URLSearchParams(route.request().postData())
      return answer({ message_list: asked.get('session_id') === 'many0' && asked.get('length') === '50' ? list : [], total: list.length })(route)
    })
    await page.reload()
    await zhang.signIn()
    await zhang.row('同事 0').first().waitFor()
    assert.ok((await page.locator('.conversation').count()) < 60, 'only the rows that are seen exist')
    await page.locator('.conversations').evaluate((b) => b.scrollTo(0, b.scrollHeight))
    await zhang.row('同事 9999').waitFor()
    await page.locator('.conversations').evaluate((b) => b.scrollTo(0, 0))
    await zhang.row('同事 0').first().click()
    await zhang.sees('历史消息 0 ')
    const frames = await page.locator('.messages').evaluate(async (b) => {
      const times = []
      const step = b.scrollHeight / 120
      for (let i = 0; i < 120; i++) {
        const t = performance.now()
        b.scrollTop = b.scrollHeight - i * step
        await new Promise((ok) => requestAnimationFrame(() => requestAnimationFrame(ok)))
        times.push(performance.now() - t)
      }
      return times.sort((x, y) => x - y)
    })
    assert.ok((await page.locator('article.message').count()) < 120)
    console.log(`     scrolling through 100,000 messages: median ${frames[60].toFixed(0)} ms for two frames, the slowest ${frames[119].toFixed(0)} ms`)
    await page.locator('.messages').evaluate((b) => b.scrollTo(0, 0))
    await zhang.sees('历史消息 99999 ')
  })
}

if (!world.brief) {
  step('a message that a search finds far back is gone to, with progress', async () => {
    const page = zhang.page
    const row = (i) => ({ msg_id: `f${i}`, msg_type: 'MTT-000', msg_from: 'many1', msg_to: zs, msg_time: String(1.8e12 - i * 1000), session_id: 'many1', body: JSON.stringify([{ text: `很久以前 ${i}` }]) })
    await page.unroute('**/findChatHistory')
    await page.route('**/findChatHistory', async (route) => {
      const asked = new URLSearchParams(route.request().postData())
      if (asked.get('session_id') !== 'many1') return route.fulfill({ json: { result: 'ok', message_list: [], total: 0 } })
      if (asked.get('text')) return route.fulfill({ json: { result: 'ok', message_list: [row(4_900)], total: 1 } })
      const first = asked.get('before') ? Math.round((1.8e12 - Number(asked.get('before').split(',')[0])) / 1000) + 1 : 0
      const n = Math.max(0, Math.min(Number(asked.get('length')), 6_000 - first))
      await route.fulfill({ json: { result: 'ok', message_list: Array.from({ length: n }, (_, i) => row(first + i)), total: 6_000 } })
    })
    await zhang.row('同事 1').first().click()
    await zhang.sees('很久以前 0')
    await page.click('[aria-label="会话详情"]')
    await page.fill('.details input[type=search]', '很久')
    await page.keyboard.press('Enter')
    const progress = page.evaluate(() => new Promise((ok) => {
      const look = new MutationObserver(() => {
        const text = document.querySelector('.seeking')?.textContent
        if (text) ok(text)
      })
      look.observe(document.body, { childList: true, subtree: true })
    }))
    await page.locator('.result', { hasText: '很久以前 4900' }).click()
    await page.locator('.row.found', { hasText: '很久以前 4900' }).waitFor()
    assert.match(await progress, /已读取 \d+ 条消息/)
    await zhang.shot('found')
  })

  step('the first paint', async () => {
    for (const rate of [1, 4]) {
      const times = []
      for (let i = 0; i < 5; i++) {
        const context = await browser.newContext({ locale: 'zh-CN' })
        const page = await context.newPage()
        await (await context.newCDPSession(page)).send('Emulation.setCPUThrottlingRate', { rate })
        await page.goto(`${world.url}/`)
        await page.waitForSelector('input[name=password]')
        times.push(await page.evaluate(() => new Promise((ok) => new PerformanceObserver((list) => {
          const paint = list.getEntriesByName('first-contentful-paint')[0]
          if (paint) ok(paint.startTime)
        }).observe({ type: 'paint', buffered: true }))))
        await context.close()
      }
      times.sort((a, b) => a - b)
      console.log(`     first contentful paint, processor slowed ${rate} times: median ${times[2].toFixed(0)} ms, the slowest of 5 ${times[4].toFixed(0)} ms`)
    }
  })
}

/** silence is a WAV of a tenth of a second. */
function silence() {
  const samples = 800
  const b = Buffer.alloc(44 + samples, 0x80)
  b.write('RIFF', 0)
  b.writeUInt32LE(36 + samples, 4)
  b.write('WAVEfmt ', 8)
  b.writeUInt32LE(16, 16)
  b.writeUInt16LE(1, 20)
  b.writeUInt16LE(1, 22)
  b.writeUInt32LE(8000, 24)
  b.writeUInt32LE(8000, 28)
  b.writeUInt16LE(1, 32)
  b.writeUInt16LE(8, 34)
  b.write('data', 36)
  b.writeUInt32LE(samples, 40)
  return b
}

await run()
