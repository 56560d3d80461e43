/** How often pages ask for `/status`: seldom when there are many. Time passes by the page's clock, run ahead. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { DEADLINE_MS, isConnected, launch, Server, until, visit } from './harness.js';

const EVERY_SECS = 20;
const PER_SEC = 20;

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

/** The page, with a clock to run ahead, whose server says that so many are here; `asks` has the second of each question. */
async function visitWith(clients, { greetedAs = clients } = {}) {
  const page = await visit(browser, 'about:blank', undefined, { connected: false });
  await page.clock.install();
  await page.addInitScript(() => {
    globalThis.asks = [];
    const { fetch } = globalThis;
    globalThis.fetch = (url, options) => {
      if (url === 'status') globalThis.asks.push(Date.now() / 1_000);
      return fetch(url, options);
    };
  });
  await page.route('**/status', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...await response.json(), clients } });
  });
  await page.routeWebSocket('**', (near) => {
    const far = near.connectToServer();
    far.onMessage((data) => {
      const hello = JSON.parse(data);
      near.send(JSON.stringify({ ...hello, clients: greetedAs }));
    });
  });
  await page.goto(server.url);
  await isConnected(page);
  page.opened = await page.evaluate(() => Date.now() / 1_000);
  return page;
}

const asks = (page) => page.evaluate(() => globalThis.asks);

/** Lets time pass in steps, between which answers come, until the page has asked so often. */
async function runUntilAsked(page, count) {
  await until(`it has asked ${count} times`, async () => {
    if ((await asks(page)).length >= count) return true;
    await page.clock.runFor(1_000);
    return false;
  }, 2 * DEADLINE_MS);
  return asks(page);
}

const gaps = (times) => times.slice(1).map((time, i) => time - times[i]);

test('a page that is alone asks every 20 s', async () => {
  const page = await visitWith(1);
  const times = await runUntilAsked(page, 4);
  assert.ok(times[0] - page.opened < 8, `first after ${times[0] - page.opened} s`);
  for (const gap of gaps(times)) assert.ok(gap >= EVERY_SECS && gap < EVERY_SECS + 5, `${gap} s`);
});

test('a page with thousands of others asks seldom, from the first answer on', async () => {
  const page = await visitWith(2_000, { greetedAs: 1 });
  await runUntilAsked(page, 1);
  await page.waitForFunction(() => document.querySelector('#people').textContent === '2000 here');
  for (const gap of gaps(await runUntilAsked(page, 3))) assert.ok(gap >= 2_000 / PER_SEC, `${gap} s`);
});

test('thousands of pages that begin in the same moment ask at most 20 times a second together', async () => {
  const page = await visitWith(1);
  const clients = 1_000;
  const times = await page.evaluate(async (count) => {
    // A generator of our own, so that a failure can be repeated.
    let seed = 1;
    Math.random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
    const found = [];
    globalThis.fetch = async () => {
      found.push(Date.now() / 1_000);
      return { json: async () => ({ clients: count }) };
    };
    const { keepAsking } = await import('./server.js');
    for (let i = 0; i < count; i += 1) keepAsking(() => {})(count);
    return globalThis.found = found;
  }, clients).then(async () => {
    await page.clock.runFor(300_000);
    return page.evaluate(() => globalThis.found);
  });
  const WINDOW_SECS = 10;
  const most = Math.max(...times.map((start) => times.filter((time) => time >= start && time < start + WINDOW_SECS).length));
  // Chance makes some windows fuller than others: 15 is its standard deviation.
  assert.ok(most <= WINDOW_SECS * PER_SEC + 60, `${most} times in ${WINDOW_SECS} s`);
  assert.ok(times.length > 2 * clients, `each has asked again: ${times.length} times`);
});
