/** People talk: what one page sends, all show, as a text and nothing else. */

import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { allSent, isConnected, launch, newClient, PHONE, RawClient, say, Server, shows, texts, until, visit } from './harness.js';

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
afterEach(async () => {
  RawClient.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
});
after(async () => {
  await browser.close();
  await server.stop();
});

test('three pages, one of them a phone, show the same messages in the same order', async () => {
  const pages = [await visit(browser, server.url), await visit(browser, server.url), await visit(browser, server.url, PHONE)];
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(pages.map((page, i) => say(page, `round ${round} of page ${i}`)));
  }
  await Promise.all(pages.map(allSent));
  for (const page of pages) await until('all is there', async () => (await texts(page)).length === 15);
  const [first, ...others] = await Promise.all(pages.map(texts));
  for (const other of others) assert.deepEqual(other, first);
  assert.equal(new Set(first).size, 15);
  for (const page of pages) {
    assert.equal(await page.locator('.own').count(), 5, 'own messages are marked, and only those');
    assert.equal(await page.locator('.own .sent').count(), 5);
    assert.deepEqual(page.problems, []);
    }
});

test('Enter and the button send, Shift+Enter breaks the line, and the field is empty and has the focus again', async () => {
  const page = await visit(browser, server.url);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'send-input');
  await page.keyboard.type('two');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('lines');
  await page.keyboard.press('Enter');
  await shows(page, 'two\nlines');
  await page.getByLabel('Message to everybody').fill('by the button');
  await page.getByRole('button', { name: 'Send', exact: true }).click();
  await shows(page, 'by the button');
  assert.equal(await page.inputValue('#send-input'), '');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'send-input');
  await page.keyboard.press('Enter');
  assert.equal((await texts(page)).length, 2, 'an empty field sends nothing');
});

test('markup stays text, addresses become links, and nothing else does', async () => {
  const page = await visit(browser, server.url);
  const reader = await visit(browser, server.url);
  const markup = '<img src=x onerror="document.title=1"><script>document.title=2</script><b>bold</b> &amp;';
  const addresses = 'See (https://example.org/a_(b)?q=1#x), http://[::1]:1920/. Not javascript:alert(1) or data:text/html,x https://';
  await say(page, markup);
  await say(page, addresses);
  for (const one of [page, reader]) {
    await shows(one, markup);
    await shows(one, addresses);
    assert.equal(await one.locator('#received-area :is(img, script, b)').count(), 0);
    const links = await one.$$eval('#received-area a', (all) => all.map((a) => [a.getAttribute('href'), a.rel, a.target]));
    assert.deepEqual(links, [['https://example.org/a_(b)?q=1#x', 'noopener', '_blank'], ['http://[::1]:1920/', 'noopener', '_blank']]);
    assert.equal(await one.title(), 'Foghorn');
  }
});

test('a binary message is shown with its size', async () => {
  const page = await visit(browser, server.url);
  const raw = await newClient(server);
  raw.say(new Uint8Array(2048));
  raw.say(new Uint8Array(1));
  await shows(page, 'Binary message, 2048 bytes');
  await shows(page, 'Binary message, 1 byte');
});

test('too long a message is refused before it is sent, with its size, and stays in the field', async () => {
  const page = await visit(browser, server.url);
  await page.fill('#send-input', 'é'.repeat(524_289));
  await page.press('#send-input', 'Enter');
  const error = await page.textContent('#error-message');
  assert.match(error, /1,048,578 bytes/);
  assert.match(error, /1,048,576/);
  assert.equal((await page.inputValue('#send-input')).length, 524_289);
  await page.fill('#send-input', 'é'.repeat(524_288));
  await page.press('#send-input', 'Enter');
  await allSent(page);
  assert.equal(await page.locator('#error-message').isVisible(), false);
  const [text] = await texts(page);
  assert.equal(text.length, 524_288);
  await page.getByRole('button', { name: 'Show all' }).click();
  assert.equal(await page.locator('.folded').count(), 0);
});

test('tells how many are here', async (t) => {
  const own = await Server.start();
  t.after(() => own.stop());
  const page = await visit(browser, own.url);
  assert.equal(await page.textContent('#people'), 'just you');
  await newClient(own);
  await page.waitForFunction(() => document.querySelector('#people').textContent === '2 here');
});

test('a newcomer is shown the history that the server gives, and no gap', async (t) => {
  const own = await Server.start('--history', '2');
  t.after(() => own.stop());
  const raw = await newClient(own);
  for (const text of ['one', 'two', 'three']) raw.say(text);
  await until('all is out', () => raw.allSent);
  const page = await visit(browser, own.url, PHONE);
  await shows(page, 'three');
  assert.deepEqual(await texts(page), ['two', 'three']);
  assert.equal(await page.locator('.note').count(), 0);
});

test('10,000 messages in a burst leave the page alive, with the last 1,000 in order', async (t) => {
  const page = await visit(browser, server.url, PHONE);
  await page.evaluate(() => {
    globalThis.longest = 0;
    let last = performance.now();
    const frame = (now) => {
      globalThis.longest = Math.max(globalThis.longest, now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
  const raw = await newClient(server);
  const sent = Array.from({ length: 10_000 }, (_, i) => `burst ${i}`);
  sent.forEach((text) => raw.say(text));
  await shows(page, 'burst 9999');
  assert.deepEqual(await texts(page), sent.slice(-1000));
  const longest = await page.evaluate(() => globalThis.longest);
  t.diagnostic(`longest time between two frames: ${Math.round(longest)} ms`);
  assert.ok(longest < 3_000, `the page stood still for ${longest} ms`);
  const end = await page.$eval('#received-area', (area) => area.scrollHeight - area.scrollTop - area.clientHeight);
  assert.ok(end < 2, 'the newest is in view');
});

test('who scrolled up is not disturbed, not even when the oldest messages go, and finds the way back', async () => {
  const page = await visit(browser, server.url, PHONE);
  const raw = await newClient(server);
  for (let i = 0; i < 1_000; i += 1) raw.say(`old ${i} ${'long '.repeat(i % 30)}`);
  await page.waitForFunction(() => document.querySelectorAll('#received-area .text').length === 1_000);
  await page.$eval('#received-area', (area) => { area.scrollTop = area.scrollHeight / 2; });
  await page.waitForSelector('#jump:not([hidden])');
  const where = () => page.$$eval('#received-area .text', (all) => {
    const line = all.find((text) => text.textContent.startsWith('old 500 '));
    return line.getBoundingClientRect().top;
  });
  const before = await where();
  // Each by itself: what one batch moves by, which the browser rounds, would add up.
  for (let i = 0; i < 50; i += 1) {
    raw.say(`new ${i}`);
    await page.waitForFunction((count) => document.querySelector('#jump').textContent === `↓ ${count} new`, i + 1);
  }
  assert.equal(await page.locator('#received-area .text').count(), 1_000);
  assert.ok(Math.abs(await where() - before) <= 1, 'the line being read has not moved');
  await page.click('#jump');
  assert.ok(await page.getByText('new 49', { exact: true }).isVisible());
  assert.equal(await page.locator('#jump').isVisible(), false);
});

test('who scrolls up while messages stream in stays there; an unfolded text stays in view', async () => {
  const page = await visit(browser, server.url);
  const raw = await newClient(server);
  const stream = (async () => {
    for (let i = 0; i < 700; i += 1) {
      raw.say(`stream ${i}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  const top = () => page.$eval('#received-area', (area) => area.scrollTop);
  await shows(page, 'stream 200');
  await page.mouse.move(640, 400);
  await page.mouse.wheel(0, -800);
  await page.waitForSelector('#jump:not([hidden])');
  let rest = await top();
  await until('it rests', async () => rest === (rest = await top()));
  await stream;
  await shows(page, 'stream 699');
  assert.equal(await top(), rest);

  raw.say('long\n'.repeat(200));
  await page.waitForSelector('.folded', { state: 'attached' });
  await page.click('#jump');
  await page.getByRole('button', { name: 'Show all' }).click();
  const unfolded = await top();
  raw.say('the next');
  await shows(page, 'the next');
  assert.equal(await top(), unfolded);
});

test('a screen reader is told of a burst in one sentence, and of single messages each', async () => {
  const page = await visit(browser, server.url);
  const raw = await newClient(server);
  const live = () => page.getAttribute('#received-area', 'aria-live');
  assert.equal(await live(), 'polite');
  raw.say('a single one');
  await shows(page, 'a single one');
  assert.equal(await live(), 'polite');
  for (let i = 0; i < 200; i += 1) raw.say(`burst ${i}`);
  await shows(page, 'burst 199');
  await page.waitForFunction(() => /^\d+ messages came$/.test(document.querySelector('#voice').textContent));
  assert.equal(await live(), 'polite');
});

test('the invitation shows a QR code and both addresses, closes by Escape, and gives the focus back', async () => {
  const page = await visit(browser, server.url, PHONE);
  const button = page.getByRole('button', { name: 'Invite' });
  await button.click();
  const dialog = page.getByRole('dialog', { name: 'Bring others here' });
  await dialog.waitFor();
  await page.waitForFunction(() => document.querySelector('#invite-code').naturalWidth > 0);
  const [address] = await dialog.getByRole('listitem').allTextContents();
  assert.equal(address, server.url);
  assert.ok(await dialog.getByText('works on this machine only').isVisible());
  await page.keyboard.press('Escape');
  assert.equal(await dialog.isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'invite-open');
});

test('everything that is pressed is at least 44 px in size, and the field does not make iOS zoom', async () => {
  const page = await visit(browser, server.url, PHONE);
  const small = await page.$$eval('button, textarea', (all) => all
    .map((element) => ({ name: element.textContent.trim() || element.id, box: element.getBoundingClientRect() }))
    .filter(({ box }) => box.width > 0 && (box.width < 44 || box.height < 44))
    .map(({ name }) => name));
  assert.deepEqual(small, []);
  assert.ok(await page.$eval('#send-input', (input) => parseFloat(getComputedStyle(input).fontSize)) >= 16);
});

test('where a keyboard covers the page (iOS), the field stays above it', async () => {
  const page = await visit(browser, server.url, PHONE);
  const cover = (height) => page.evaluate((value) => {
    Object.defineProperty(visualViewport, 'height', { configurable: true, value });
    visualViewport.dispatchEvent(new Event('resize'));
    return document.querySelector('#send-input').getBoundingClientRect().bottom;
  }, height);
  assert.ok(await cover(400) <= 400);
  assert.ok(await cover(844) > 780);
});

test('all of the page is at most 64 KiB', async () => {
  const folder = new URL('../../www/', import.meta.url);
  const sizes = await Promise.all((await readdir(folder)).map(async (name) => (await stat(new URL(name, folder))).size));
  const total = sizes.reduce((a, b) => a + b);
  assert.ok(total <= 65_536, `${total} bytes`);
});

test('everything that the page asks for is there, and nothing comes from elsewhere', async () => {
  const context = await browser.newContext();
  const page = await context.newPage();
  const answers = [];
  page.on('response', (response) => answers.push([response.url(), response.status()]));
  await page.goto(server.url);
  await isConnected(page);
  for (const [url, status] of answers) {
    assert.ok(url.startsWith(server.url), url);
    assert.equal(status, 200, url);
  }
  const manifest = await (await fetch(`${server.url}manifest.webmanifest`)).json();
  for (const { src, type } of manifest.icons) {
    const icon = await fetch(server.url + src);
    assert.equal(icon.status, 200, src);
    assert.match(icon.headers.get('content-type'), new RegExp(`^${type.replace('+', '\\+')}`), src);
  }
});
