/** Codes: the page asks for one, keeps it, tells what it is good for, and passes it on. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import jsQR from 'jsqr';
import {
  allSent, DESKTOP, isConnected, isNotConnected, launch, PHONE, say, Server, shows, texts, until, visit,
} from './harness.js';
import { Proxy } from './proxy.js';

const UNASKED = { connected: false };
/** So many wrong ones lock what comes from loopback. */
const GUESSES = 30;

let browser;
let server;
const start = async (...flags) => { server = await Server.start(...flags); };
before(async () => { browser = await launch(); });
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
});
after(() => browser.close());

/** The dialog, once it is there, and says this. */
async function asked(page, sentence) {
  const dialog = page.getByRole('dialog', { name: sentence });
  await dialog.waitFor();
  return dialog;
}

async function enter(page, code) {
  await page.getByLabel('Code', { exact: true }).fill(code);
  await page.getByLabel('Code', { exact: true }).press('Enter');
}

const NEEDED = 'This channel needs a code.';
const WRONG = 'This is not the code of this channel.';
const READING = 'You can read here. Sending needs a code.';

const mayType = (page) => page.locator('#send-input').isVisible();

/** The line in place of the field. */
const isTold = (page, sentence) => page.waitForFunction((text) => {
  const line = document.querySelector('#code-reason');
  return line.textContent === text && line.getClientRects().length > 0;
}, sentence);

/** All that the page asks for, with its headers, WebSockets too. */
async function listen(page) {
  const requests = [];
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  session.on('Network.requestWillBeSent', ({ request }) => requests.push({ url: request.url, headers: request.headers }));
  session.on('Network.requestWillBeSentExtraInfo', ({ headers }) => requests.push({ url: '', headers }));
  session.on('Network.webSocketCreated', ({ url }) => requests.push({ url, headers: {} }));
  session.on('Network.webSocketWillSendHandshakeRequest', ({ request }) => requests.push({ url: '', headers: request.headers }));
  return { requests, session };
}

const header = ({ headers }, name) => Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];

test('asks for the code, tells a wrong one, keeps the right one over a reload, and asks anew when it has changed', async () => {
  await start('--code', '4711');
  const page = await visit(browser, server.url, PHONE, UNASKED);
  const dialog = await asked(page, NEEDED);
  assert.equal(await page.textContent('#status'), 'Needs a code');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'code-input', 'ready to type');
  const attributes = await page.$eval('#code-input', (input) => ['inputmode', 'autocomplete', 'autocapitalize', 'autocorrect', 'spellcheck']
    .map((name) => input.getAttribute(name)));
  assert.deepEqual(attributes, ['numeric', 'off', 'off', 'off', 'false']);
  await dialog.getByRole('button', { name: 'It has letters' }).click();
  assert.equal(await page.getAttribute('#code-input', 'inputmode'), 'text');

  await enter(page, '4712');
  await asked(page, WRONG);
  assert.equal(await mayType(page), false);
  await enter(page, ' 4711 ');
  await isConnected(page);
  await page.locator('#code').waitFor({ state: 'hidden' });
  assert.equal(await page.evaluate(() => document.activeElement.id), 'send-input', 'ready to type');
  await say(page, 'inside');
  await allSent(page);

  await page.reload();
  await isConnected(page);
  assert.equal(await page.locator('#code').isVisible(), false);
  assert.ok(await mayType(page));

  await server.restart('--code', '1919');
  await asked(page, NEEDED);
  await page.reload();
  await asked(page, NEEDED);
  assert.ok(!JSON.stringify(await page.evaluate(() => ({ ...localStorage }))).includes('4711'), 'it is forgotten');
  await enter(page, '1919');
  await isConnected(page);
  assert.deepEqual(page.problems, []);
});

test('who does not want to be asked is asked no more, and finds the way back', async () => {
  await start('--code', '4711');
  const page = await visit(browser, server.url, PHONE, UNASKED);
  const dialog = await asked(page, NEEDED);
  await dialog.getByRole('button', { name: 'Not now' }).click();
  await isTold(page, NEEDED);
  assert.equal(await mayType(page), false);
  await page.evaluate(() => dispatchEvent(new Event('online')));
  assert.equal(await dialog.isVisible(), false);
  await page.getByRole('button', { name: 'Enter code' }).click();
  await enter(page, '1');
  await asked(page, WRONG);
  await page.keyboard.press('Escape');
  await isTold(page, NEEDED);
  await page.getByRole('button', { name: 'Enter code' }).click();
  await enter(page, '4711');
  await isConnected(page);
  assert.deepEqual(page.problems, []);
});

test('a page that is locked out says until when, and comes in by itself', async () => {
  await start('--code', '4711');
  for (let i = 0; i < GUESSES; i += 1) assert.equal((await fetch(`${server.url}?status&code=wrong-${i}`)).status, 401);
  const page = await visit(browser, 'about:blank', PHONE, UNASKED);
  await page.clock.install();
  await page.goto(server.url);
  await asked(page, NEEDED);
  await enter(page, '4711');
  await page.locator('#code-reason').getByText('Too many wrong codes from your address. Next try at').waitFor();
  await page.waitForFunction(() => /^Reconnecting in (5\d|6\d) s$/.test(document.querySelector('#status').textContent));
  const time = (await page.textContent('#code-reason')).match(/[\d:]+/)[0];
  const minutes = (text) => text.split(':').map(Number)[1];
  const now = await page.evaluate(() => new Date().getMinutes());
  assert.ok([now, (now + 1) % 60, (now + 2) % 60].includes(minutes(time)), `${time}, and it is ${now} past`);
  assert.equal(await mayType(page), false);
  assert.equal(await page.evaluate(() => Object.keys(localStorage).filter((key) => localStorage[key]).length), 0, 'nobody knows yet whether it is right');
  // A minute is over for the server when it has started anew.
  await server.restart('--code', '4711');
  await page.clock.runFor(62_000);
  await isConnected(page);
  assert.ok(await mayType(page));
  assert.deepEqual(page.problems, []);
});

test('a reader is shown no field but what it takes, and may send with the code for that', async () => {
  await start('--send-code', '1919', '--history', '9');
  const page = await visit(browser, server.url, PHONE);
  await isTold(page, READING);
  assert.equal(await page.locator('#code').isVisible(), false, 'nobody is asked who may come in');
  assert.equal(await mayType(page), false);
  await page.getByRole('button', { name: 'Channels' }).click();
  assert.equal(await page.getByText('Delete all messages…').isVisible(), false);
  await page.keyboard.press('Escape');

  const sender = await visit(browser, `${server.url}#code=1919`);
  assert.ok(await mayType(sender));
  await say(sender, 'to all');
  await shows(page, 'to all');

  await page.getByRole('button', { name: 'Enter code' }).click();
  await asked(page, READING);
  await enter(page, '1');
  await asked(page, WRONG);
  await isConnected(page);
  await say(sender, 'still heard');
  await shows(page, 'still heard');
  await enter(page, '1919');
  await page.locator('#code').waitFor({ state: 'hidden' });
  await page.locator('#send-input').waitFor();
  await say(page, 'from the reader');
  await shows(sender, 'from the reader');
  assert.deepEqual(await texts(page), ['to all', 'still heard', 'from the reader'], 'nothing is missed meanwhile');
  assert.deepEqual([...page.problems, ...sender.problems], []);
});

test('with a code for reading one reads, and goes on when the one for sending is wrong', async () => {
  await start('--code', '4711', '--send-code', '1919');
  const page = await visit(browser, server.url, DESKTOP, UNASKED);
  await asked(page, NEEDED);
  await enter(page, '4711');
  await isTold(page, READING);
  assert.equal(await page.locator('#code').isVisible(), false);
  await page.getByRole('button', { name: 'Enter code' }).click();
  assert.equal(await page.inputValue('#code-input'), '', 'no code is shown');
  await enter(page, '1');
  await asked(page, WRONG);
  await page.keyboard.press('Escape');
  await isConnected(page);
  await isTold(page, READING);
  await page.getByRole('button', { name: 'Enter code' }).click();
  await enter(page, '1919');
  await page.locator('#send-input').waitFor();
  await page.reload();
  await isConnected(page);
  assert.ok(await mayType(page), 'the better one is kept');
});

test('what was typed before it turns out that one may only read is not sent, and says so', async () => {
  await start();
  const page = await visit(browser, server.url, DESKTOP);
  await server.stop();
  await isNotConnected(page);
  await say(page, 'typed offline');
  await server.restart('--send-code', '1919');
  await isTold(page, READING);
  await page.getByText('Not sent', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Send again' }).click();
  await page.getByRole('alert').filter({ hasText: 'Sending needs a code.' }).waitFor();
  await page.getByRole('button', { name: 'Enter code' }).click();
  await enter(page, '1919');
  await page.locator('#send-input').waitFor();
  await page.getByRole('button', { name: 'Send again' }).click();
  await allSent(page);
  assert.deepEqual(await texts(page), ['typed offline']);
  assert.equal(await page.locator('.own .sent').count(), 1);
});

test('a code behind # lets one in, and is in no address, history or Referer after that', async () => {
  await start('--code', '4711');
  const page = await visit(browser, 'about:blank', PHONE, UNASKED);
  const { requests, session } = await listen(page);
  await page.goto(`${server.url}?x=1#code=4711`);
  await isConnected(page);
  assert.equal(page.url(), `${server.url}?x=1`);
  await say(page, `${server.url}status`);
  await allSent(page);
  const [popup] = await Promise.all([page.waitForEvent('popup'), page.click('#received-area a')]);
  await popup.waitForLoadState();
  assert.equal(await popup.evaluate(() => document.referrer), '');
  await page.getByRole('button', { name: 'Invite' }).click();
  await page.waitForFunction(() => document.querySelector('#invite-code').naturalWidth > 0);
  const { entries } = await session.send('Page.getNavigationHistory');
  assert.deepEqual(entries.map(({ url }) => url), ['about:blank', `${server.url}?x=1`]);
  assert.ok(requests.length > 10);
  for (const request of requests) assert.equal(header(request, 'referer') || '', '', request.url);
  const bearing = requests.map(({ url }) => new URL(url || 'about:blank')).filter(({ href }) => href.includes('4711'));
  assert.deepEqual([...new Set(bearing.map(({ pathname }) => pathname))].sort(), ['/', '/qr.svg'], 'the join, and the code to scan');
  assert.ok(bearing.every(({ protocol, pathname }) => pathname === '/qr.svg' || protocol === 'ws:'), `${bearing}`);
});

test('a code that comes into the address of an open page is taken from there', async () => {
  await start('--code', '4711', '--code', 'lights=2222');
  const page = await visit(browser, `${server.url}c/lights#code=1111`, PHONE, UNASKED);
  await asked(page, NEEDED);
  assert.equal(page.url(), `${server.url}c/lights`);
  await page.evaluate(() => { location.hash = '#code=2222'; });
  await isConnected(page);
  await page.locator('#code').waitFor({ state: 'hidden' });
  assert.equal(page.url(), `${server.url}c/lights`);
  await page.evaluate(() => { location.hash = '#code=4711'; });
  await page.waitForFunction(() => location.hash === '');
  await isConnected(page);
  assert.ok(await mayType(page), 'a wrong one takes nothing away');
  await page.reload();
  await isConnected(page);
  await page.evaluate(() => { location.hash = '#elsewhere'; });
  assert.ok(page.url().endsWith('#elsewhere'), 'only codes are taken');
});

test('questions for figures and for deletion carry the code as a header, and not in the address', async () => {
  await start('--code', '4711');
  const page = await visit(browser, 'about:blank', PHONE, UNASKED);
  const asks = [];
  page.on('request', async (request) => {
    if (request.resourceType() === 'fetch') asks.push([request.method(), new URL(request.url()).search, await request.headerValue('authorization')]);
  });
  const answered = page.waitForResponse((response) => new URL(response.url()).search === '?status');
  await page.goto(`${server.url}#code=4711`);
  await isConnected(page);
  assert.equal((await answered).status(), 200);
  await page.getByRole('button', { name: 'Channels' }).click();
  await page.getByText('Delete all messages…').click();
  await page.getByRole('button', { name: 'Delete for everybody' }).click();
  await page.getByText('The messages were deleted').waitFor();
  await until('all are read', () => asks.some(([method]) => method === 'DELETE'));
  for (const [, search, authorization] of asks) {
    assert.ok(['', '?status'].includes(search), search);
    assert.equal(authorization, 'Bearer 4711');
  }
});

test('without a code where one is needed nothing is asked for again and again', async () => {
  await start('--code', '4711');
  const page = await visit(browser, 'about:blank', PHONE, UNASKED);
  await page.clock.install();
  const { requests } = await listen(page);
  await page.goto(server.url);
  await asked(page, NEEDED);
  const before = requests.length;
  await page.clock.runFor(120_000);
  assert.deepEqual(requests.slice(before), []);
});

/** What a phone reads from the code that is shown. */
async function scan(page) {
  await page.waitForFunction(() => document.querySelector('#invite-code').complete && document.querySelector('#invite-code').naturalWidth > 0);
  const pixels = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 480, height: 480 });
    const context = canvas.getContext('2d');
    context.drawImage(document.querySelector('#invite-code'), 0, 0, 480, 480);
    return [...context.getImageData(0, 0, 480, 480).data];
  });
  return jsQR(Uint8ClampedArray.from(pixels), 480, 480)?.data;
}

test('the invitation carries the code, unless it should not', async () => {
  await start('--code', 'lights=Fog-._~1');
  const page = await visit(browser, 'about:blank', PHONE, UNASKED);
  await page.addInitScript(() => { navigator.share = async ({ url }) => { globalThis.shared = url; }; });
  const lights = `${server.url}c/lights`;
  await page.goto(`${lights}#code=Fog-._~1`);
  await isConnected(page);
  await page.getByRole('button', { name: 'Invite' }).click();
  const dialog = page.getByRole('dialog', { name: 'Bring others here' });
  const box = dialog.getByRole('checkbox', { name: 'With my code' });
  const invites = async (address) => {
    await until('the code leads there', async () => await scan(page) === address);
    assert.deepEqual(await dialog.getByRole('listitem').allTextContents(), [address]);
    assert.equal(await page.getAttribute('#invite-code', 'alt'), `QR code of ${address}`);
    await dialog.getByRole('button', { name: 'Share…' }).click();
    assert.equal(await page.evaluate(() => globalThis.shared), address);
  };
  await invites(`${lights}#code=Fog-._~1`);
  await box.click();
  await invites(lights);
  await box.click();
  await invites(`${lights}#code=Fog-._~1`);
  const invited = await visit(browser, await scan(page), DESKTOP);
  await say(invited, 'invited');
  await shows(page, 'invited');

  const main = await visit(browser, server.url);
  await main.getByRole('button', { name: 'Invite' }).click();
  assert.equal(await main.getByRole('checkbox').count(), 0, 'without a code there is nothing to choose');
  assert.deepEqual([...page.problems, ...invited.problems, ...main.problems], []);
});

test('the same code is good in other channels, unasked; those with one of their own ask for it, and keep it', async () => {
  await start('--code', '4711', '--code', 'lights=2222', '--send-code', 'show=1919');
  const page = await visit(browser, `${server.url}#code=4711`, PHONE);
  const go = async (name) => {
    await page.getByRole('button', { name: 'Channels' }).click();
    await page.getByLabel('Name of the channel').fill(name);
    await page.keyboard.press('Enter');
  };
  await go('kitchen');
  await page.waitForURL(`${server.url}c/kitchen`);
  await isConnected(page);
  await go('lights');
  await page.waitForURL(`${server.url}c/lights`);
  await asked(page, NEEDED);
  await enter(page, '2222');
  await isConnected(page);
  await go('kitchen');
  await page.waitForURL(`${server.url}c/kitchen`);
  await isConnected(page);
  await go('show');
  await page.waitForURL(`${server.url}c/show`);
  await isTold(page, READING);
  await page.getByRole('button', { name: 'Enter code' }).click();
  await enter(page, '1919');
  await page.locator('#send-input').waitFor();
  await go('kitchen');
  await page.waitForURL(`${server.url}c/kitchen`);
  await isConnected(page);
  await go('show');
  await page.waitForURL(`${server.url}c/show`);
  await isConnected(page);
  assert.ok(await mayType(page), 'the code that is kept for a channel comes first');
  await page.getByRole('button', { name: 'Channels' }).click();
  await page.getByRole('link', { name: 'To the main channel' }).click();
  await page.waitForURL(server.url);
  await isConnected(page);
  assert.deepEqual(page.problems, []);
});

test('below the prefix of a proxy each address keeps its own code', async (t) => {
  await start('--code', '4711', '--allow-host', 'board.localhost');
  const proxy = await Proxy.start({ name: 'board.localhost', prefix: '/our%20place/hub/', to: server.port });
  t.after(() => proxy.close());
  const page = await visit(browser, `${proxy.url}c/lights`, { ...PHONE, ignoreHTTPSErrors: true }, UNASKED);
  await asked(page, NEEDED);
  await enter(page, '4711');
  await isConnected(page);
  await page.reload();
  await isConnected(page);
  await page.getByRole('button', { name: 'Invite' }).click();
  assert.equal(await scan(page), `${proxy.url}c/lights#code=4711`);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Channels' }).click();
  await page.getByRole('link', { name: 'To the main channel' }).click();
  await page.waitForURL(proxy.url);
  await isConnected(page);
  assert.deepEqual(proxy.strays, []);
  assert.deepEqual(page.problems, []);
});

test('works where nothing can be kept, and in a browser without dialogs', async () => {
  await start('--code', '4711');
  const page = await visit(browser, 'about:blank', PHONE, UNASKED);
  await page.addInitScript(() => {
    Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } });
    for (const name of ['show', 'showModal', 'close']) delete HTMLDialogElement.prototype[name];
  });
  await page.goto(server.url);
  await page.getByRole('button', { name: 'Not now' }).click();
  assert.equal(await page.locator('#code').isVisible(), false);
  await page.getByRole('button', { name: 'Enter code' }).click();
  await enter(page, '1');
  await page.getByRole('heading', { name: WRONG }).waitFor();
  await enter(page, '4711');
  await isConnected(page);
  assert.equal(await page.locator('#code').isVisible(), false);
  await say(page, 'inside');
  await allSent(page);
  await server.stop();
  await isNotConnected(page);
  await server.start();
  await isConnected(page);
  assert.deepEqual(page.problems, []);
});

test('a channel without codes asks for none, whatever stands behind #', async () => {
  await start();
  const page = await visit(browser, `${server.url}#code=4711`, PHONE);
  assert.equal(await page.locator('#code').isVisible(), false);
  assert.equal(await page.locator('#code-bar').isVisible(), false);
  assert.ok(await mayType(page));
});
