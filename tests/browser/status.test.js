/** How often pages ask for their channel's figures: seldom when many are there. Time passes by the page's clock, run ahead. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { DEADLINE_MS, isConnected, launch, Server, until, visit } from './harness.js';

const EVERY_SECS = 20;
const ALONE_SECS = 3;
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

/**
 * The page of a channel, with a clock to run ahead, whose server says that so many are here, and in all channels together;
 * `asks` has the second of each question.
 */
async function visitWith(clients, { greetedAs = clients, server: everywhere = { clients, channels: 1 } } = {}) {
  const page = await visit(browser, 'about:blank', undefined, { connected: false });
  await page.clock.install({ time: 0 });
  await page.clock.pauseAt(1_000);
  await page.addInitScript(() => {
    Object.assign(globalThis, { asks: [], unanswered: 0 });
    const { fetch } = globalThis;
    globalThis.fetch = async (url, options) => {
      globalThis.asks.push({ url: String(url), at: Date.now() / 1_000 });
      globalThis.unanswered += 1;
      try {
        const text = await (await fetch(url, options)).text();
        return { json: async () => JSON.parse(text) };
      } finally {
        globalThis.unanswered -= 1;
      }
    };
  });
  page.clients = clients;
  await page.route('**/*?status', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...await response.json(), clients: page.clients, server: everywhere } });
  });
  await page.routeWebSocket('**', (near) => {
    const far = near.connectToServer();
    far.onMessage((data) => {
      const hello = JSON.parse(data);
      near.send(JSON.stringify({ ...hello, clients: greetedAs }));
    });
  });
  await page.goto(`${server.url}c/lights`);
  await isConnected(page);
  page.opened = await page.evaluate(() => Date.now() / 1_000);
  return page;
}

const asks = (page) => page.evaluate(() => globalThis.asks.map(({ at }) => at));

/** Lets time pass in steps, between which answers come, until the page has asked so often and been answered. */
async function runUntilAsked(page, count, step = 1_000) {
  await until(`it has asked ${count} times`, async () => {
    await until('it is answered', () => page.evaluate(() => globalThis.unanswered === 0));
    if ((await asks(page)).length >= count) return true;
    await page.clock.runFor(step);
    return false;
  }, 2 * DEADLINE_MS);
  return asks(page);
}

const gaps = (times) => times.slice(1).map((time, i) => time - times[i]);

test('a page that is alone shows the second within 3 s, however many there are in other channels', async () => {
  const page = await visitWith(1, { server: { clients: 4_000, channels: 33 } });
  const times = [page.opened, ...await runUntilAsked(page, 4, 100)];
  for (const gap of gaps(times)) assert.ok(gap > 2 && gap <= ALONE_SECS, `${gap} s`);
  assert.equal(await page.textContent('#people'), 'just you');
  page.clients = 2;
  await runUntilAsked(page, times.length, 100);
  await page.waitForFunction(() => document.querySelector('#people').textContent === '2 here');
});

test('a page asks for the figures of its own channel, and for nothing else', async () => {
  const page = await visitWith(1);
  await runUntilAsked(page, 3);
  const urls = await page.evaluate(() => globalThis.asks.map(({ url }) => url));
  assert.deepEqual([...new Set(urls)], [`${server.url}c/lights?status`]);
});

test('a page with a second one asks every 20 s', async () => {
  const page = await visitWith(2);
  const times = await runUntilAsked(page, 4);
  assert.ok(times[0] - page.opened < 8, `first after ${times[0] - page.opened} s`);
  for (const gap of gaps(times)) assert.ok(gap >= EVERY_SECS && gap < EVERY_SECS + 5, `${gap} s`);
});

test('a page that gets no answer asks every 20 s, also if it was alone', async () => {
  const page = await visitWith(1);
  await runUntilAsked(page, 1);
  await page.route('**/*?status', (route) => route.abort());
  const times = (await runUntilAsked(page, 5)).slice(1);
  for (const gap of gaps(times)) assert.ok(gap >= EVERY_SECS, `${gap} s`);
});

test('pages that are alone, each in one of very many channels, ask at most 20 times a second together', async () => {
  const page = await visitWith(1, { server: { clients: 1_000, channels: 1_000 } });
  for (const gap of gaps(await runUntilAsked(page, 3))) assert.ok(gap >= 1_000 / PER_SEC, `${gap} s`);
});

test('a page with few others asks seldom where there are thousands in other channels', async () => {
  const page = await visitWith(5, { server: { clients: 2_000, channels: 33 } });
  for (const gap of gaps(await runUntilAsked(page, 3, 5_000))) assert.ok(gap >= 2_000 / PER_SEC, `${gap} s`);
});

test('a page with thousands of others asks seldom, from the first answer on', async () => {
  const page = await visitWith(2_000, { greetedAs: 1 });
  await runUntilAsked(page, 1);
  await page.waitForFunction(() => document.querySelector('#people').textContent === '2000 here');
  for (const gap of gaps(await runUntilAsked(page, 3, 5_000))) assert.ok(gap >= 2_000 / PER_SEC, `${gap} s`);
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
      return { json: async () => ({ clients: count, server: { clients: count, channels: 1 } }) };
    };
    const { keepAsking } = await import('./channel.js');
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
