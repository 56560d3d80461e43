/** What a phone wants: a name before its messages, a screen that stays on; each kept, or refused with the reason. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { allSent, isConnected, LAN_NAME, launch, launchOnLan, PHONE, say, Server, shows, texts, visit } from './harness.js';

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser.close();
  await server.stop();
});

async function setName(page, name) {
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Done' }).click();
  assert.equal(await page.locator('#settings').isVisible(), false);
}

test('a name goes before what one writes, for everybody and as a text, and is kept in all channels', async () => {
  const page = await visit(browser, server.url, PHONE);
  const other = await visit(browser, server.url);
  assert.equal(await page.getAttribute('#send-input', 'placeholder'), 'Message to everybody');
  await setName(page, '  <b>Ann</b>  ');
  assert.equal(await page.getAttribute('#send-input', 'placeholder'), 'Message as <b>Ann</b>');
  await say(page, 'two\nlines');
  for (const one of [page, other]) {
    await shows(one, '<b>Ann</b>: two\nlines');
    assert.equal(await one.locator('#received-area b').count(), 0);
  }
  await say(other, 'no name');
  await shows(page, 'no name');
  await page.reload();
  await isConnected(page);
  await say(page, 'after a reload');
  await shows(other, '<b>Ann</b>: after a reload');
  await page.goto(`${server.url}c/lights`);
  await isConnected(page);
  await say(page, 'on');
  await shows(page, '<b>Ann</b>: on');
  await setName(page, '');
  await say(page, 'off');
  await shows(page, 'off');
  assert.deepEqual(page.problems, []);
});

test('a name is one short line that ends nothing and turns nothing around', async () => {
  const page = await visit(browser, server.url, PHONE);
  const names = [
    ['Ann: I owe you\r\n', 'Ann I owe you'],
    ['\u202eAnn\u2066\u0000', 'Ann'],
    ['⚓'.repeat(40), '⚓'.repeat(32)],
    ['👩'.repeat(40), '👩'.repeat(32)],
    [' : ', ''],
  ];
  for (const [typed, taken] of names) {
    await setName(page, typed);
    await page.getByRole('button', { name: 'Settings' }).click();
    assert.equal(await page.inputValue('#name'), taken);
    await page.keyboard.press('Escape');
  }
});

test('a name that was not finished by a button counts too, and Enter ends it', async () => {
  const page = await visit(browser, server.url);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.keyboard.type('Ben');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#settings').isVisible(), false);
  assert.equal(await page.getAttribute('#send-input', 'placeholder'), 'Message as Ben');
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Your name').fill('Cleo');
  await page.keyboard.press('Escape');
  assert.equal(await page.getAttribute('#send-input', 'placeholder'), 'Message as Cleo');
});

test('the name counts into what is too long, and the text stays in the field without it', async (t) => {
  const own = await Server.start('--max-message', '1KiB');
  t.after(() => own.stop());
  const page = await visit(browser, own.url);
  await setName(page, 'Ann');
  await say(page, 'x'.repeat(1_020));
  assert.match(await page.textContent('#error-message'), /1,025 bytes/);
  assert.equal((await page.inputValue('#send-input')).length, 1_020);
  await say(page, 'x'.repeat(1_019));
  await allSent(page);
  assert.equal((await texts(page))[0].length, 1_024);
});

/** Counts the locks that the browser gives. */
const countLocks = (page) => page.addInitScript(() => {
  const locks = [];
  const { request } = WakeLock.prototype;
  WakeLock.prototype.request = async function count(type) {
    locks.push(await request.call(this, type));
    return locks[locks.length - 1];
  };
  globalThis.held = () => locks.filter(({ released }) => !released).length;
});

const held = (page, count) => page.waitForFunction((wanted) => globalThis.held() === wanted, count);

test('the screen is kept on from the tap on, again after the page was away, and no longer than wanted', async () => {
  const page = await visit(browser, 'about:blank', PHONE, { connected: false });
  await countLocks(page);
  await page.goto(server.url);
  await page.getByRole('button', { name: 'Settings' }).click();
  const box = page.getByLabel('Keep the screen on');
  assert.equal(await box.isChecked(), false);
  await box.check();
  await held(page, 1);
  const look = (away) => page.evaluate((isHidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: isHidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, away);
  await look(true);
  await held(page, 0);
  await look(false);
  await held(page, 1);
  await box.uncheck();
  await held(page, 0);
  await look(false);
  await held(page, 0);
  assert.equal(await page.textContent('#awake-reason'), '');
});

test('a browser that refuses to keep the screen on is quoted, and the box is empty again', async () => {
  const page = await visit(browser, 'about:blank', PHONE, { connected: false });
  await page.addInitScript(() => { WakeLock.prototype.request = async () => { throw new Error('the battery is low'); }; });
  await page.goto(server.url);
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.getByLabel('Keep the screen on').click();
  await page.getByText('The browser refuses: the battery is low').waitFor();
  assert.equal(await page.getByLabel('Keep the screen on').isChecked(), false);
});

test('without TLS, as on a LAN, the page says why it cannot keep the screen on', async (t) => {
  const lan = await launchOnLan();
  t.after(() => lan.close());
  const own = await Server.start('--allow-host', LAN_NAME);
  t.after(() => own.stop());
  const page = await visit(lan, `http://${LAN_NAME}:${own.port}/`, PHONE);
  assert.equal(await page.evaluate(() => isSecureContext), false);
  await page.getByRole('button', { name: 'Settings' }).click();
  assert.equal(await page.getByLabel('Keep the screen on').isDisabled(), true);
  await page.getByText('Browsers do so over https only. Set it on the phone.').waitFor();
});
