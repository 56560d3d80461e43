/** What a screen reader is told: everything that is added to a live region, unless a region within it is off. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { allSent, isConnected, isNotConnected, launch, Line, say, Server, visit } from './harness.js';

let browser;
let server;
before(async () => { browser = await launch(); });
beforeEach(async () => { server = await Server.start(); });
afterEach(async () => {
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
});
after(() => browser.close());

/** From now on keeps what is told. */
const listen = (page) => page.evaluate(() => {
  globalThis.told = [];
  const isOff = (node) => node.getAttribute?.('aria-live') === 'off';
  const read = (node) => {
    if (isOff(node)) return '';
    return node.nodeType === Node.TEXT_NODE ? node.data : [...node.childNodes].map(read).join(' ');
  };
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) {
      const region = target.closest('[aria-live], [role=log], [role=status], [role=alert]');
      if (region && !isOff(region)) globalThis.told.push(...[...addedNodes].map(read));
    }
    globalThis.told = globalThis.told.filter((text) => text.trim());
  }).observe(document.body, { childList: true, subtree: true });
});

const told = (page) => page.evaluate(() => globalThis.told.map((text) => text.trim()));

const isTold = (page, text) => page.waitForFunction((wanted) => globalThis.told.some((one) => one.includes(wanted)), text);

/** What is told of how far messages have got. */
const states = async (page) => (await told(page)).filter((text) => /sen[dt]/i.test(text));

/** Ends after all timers of the page that were set before, and are no longer than this one. */
const settle = (page) => page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 1_500)));

test('of one\'s own messages that get through the text is told, once, and nothing of their marks', async () => {
  const page = await visit(browser, server.url);
  await listen(page);
  const own = Array.from({ length: 10 }, (_, i) => `my word ${i}`);
  for (const text of own) await say(page, text);
  await allSent(page);
  await settle(page);
  assert.deepEqual(await states(page), []);
  for (const text of own) assert.equal((await told(page)).filter((one) => one.includes(text)).length, 1, text);
});

test('that messages were sent which had to wait is told once, for all of them together', async () => {
  const line = await Line.to(server.port);
  const page = await visit(browser, line.url);
  await listen(page);
  line.cut();
  await isNotConnected(page);
  const own = ['the first', 'the second', 'the third'];
  for (const text of own) await say(page, text);
  line.mend();
  await allSent(page);
  await settle(page);
  // One sentence, unless they come back more than a second after each other.
  const counts = (await states(page)).map((text) => {
    const [, count = 1] = text.match(/^(?:Your message|(\d) of your messages): sent$/) ?? [text, NaN];
    return Number(count);
  });
  assert.equal(counts.reduce((a, b) => a + b, 0), 3, String(await states(page)));
  for (const text of own) assert.equal((await told(page)).filter((one) => one.includes(text)).length, 1, text);
});

test('that a message may not have been sent is told once, and no more when it is sent again', async () => {
  const page = await visit(browser, server.url);
  await listen(page);
  server.pause();
  await say(page, 'into the fog');
  await page.waitForSelector('.sending');
  await server.stop('SIGKILL');
  await server.start();
  await isTold(page, 'Your message: maybe not sent');
  await page.getByRole('button', { name: 'Send again' }).click();
  await allSent(page);
  await settle(page);
  assert.deepEqual(await states(page), ['Your message: maybe not sent']);
});

test('a message that changes its place is not told again', async () => {
  let isOpen = true;
  let maxMessage = 1_000;
  const sockets = [];
  const page = await visit(browser, 'about:blank', undefined, { connected: false });
  await page.routeWebSocket('**', (near) => {
    if (!isOpen) return near.close();
    const far = near.connectToServer();
    sockets.push(near);
    far.onMessage((data) => near.send(data.includes('"foghorn":1') ? JSON.stringify({ ...JSON.parse(data), maxMessage }) : data));
  });
  await page.goto(server.url);
  await isConnected(page);
  await listen(page);
  isOpen = false;
  for (const socket of sockets) await socket.close();
  await isNotConnected(page);
  await say(page, 'short');
  await say(page, 'longer than the server takes by then');
  maxMessage = 10;
  isOpen = true;
  await isTold(page, 'Your message: not sent');
  await allSent(page);
  await isTold(page, 'Your message: sent');
  const lines = (await told(page)).filter((text) => /short|longer/.test(text));
  assert.equal(lines.length, 2, lines.join(', '));
});
