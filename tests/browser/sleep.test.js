/** Pages sleep: hidden behind others, frozen by the browser, put away for the back button. They wake up to date. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Line, newClient, RawClient, Server, until } from './harness.js';
import { Tabs } from './tabs.js';

let tabs;
let server;
let line;
let other;
before(async () => { tabs = await Tabs.launch(); });
after(() => tabs.close());
beforeEach(async () => {
  server = await Server.start();
  line = await Line.to(server.port);
  other = await newClient(server);
});
afterEach(async () => {
  RawClient.closeAll();
  Line.closeAll();
  await server.stop();
});

test('a hidden page counts unread messages in its title, one\'s own not, until it is looked at', async () => {
  const page = await tabs.open(server.url);
  await page.isConnected();
  await tabs.open('about:blank');
  await page.until('document.hidden');
  other.say('one');
  other.say('two');
  await page.until('document.title === "(2) Foghorn"');
  await page.say('mine');
  await page.shows('mine');
  assert.equal(await page.evaluate('document.title'), '(2) Foghorn');
  await page.toFront();
  assert.equal(await page.evaluate('document.title'), 'Foghorn');
});

test('a page that was hidden for long does not trust its socket', async () => {
  const page = await tabs.open(line.url);
  await page.isConnected();
  await tabs.open('about:blank');
  await page.until('document.hidden');
  line.silence();
  other.say('said meanwhile');
  await page.evaluate('{ const { now } = Date; Date.now = () => now() + 60_000; }');
  await page.toFront();
  await page.shows('said meanwhile');
});

test('a page asks for no figures while it is hidden, and at once when it is back, however many are here', async () => {
  const page = await tabs.open(server.url);
  // Minutes pass in fractions of a second.
  await page.evaluate(`{
    Object.assign(globalThis, { asks: [], passedHidden: 0 });
    const { fetch, setTimeout } = globalThis;
    globalThis.setTimeout = (act, ms) => setTimeout(() => {
      if (ms >= 20_000 && document.hidden) globalThis.passedHidden += 1;
      act();
    }, ms >= 20_000 ? ms / 1_000 : ms);
    globalThis.fetch = async (...request) => {
      globalThis.asks.push(document.hidden ? 'hidden' : 'seen');
      const figures = await (await fetch(...request)).json();
      return { json: async () => ({ ...figures, clients: 5_000, server: { clients: 5_000, channels: 1 } }) };
    };
  }`);
  await page.until('document.querySelector("#people").textContent === "5000 here"');
  await tabs.open('about:blank');
  await page.until('passedHidden > 0');
  await page.evaluate('{ const { now } = Date; Date.now = () => now() + 20_000; }');
  const before = await page.evaluate('asks.length');
  await page.toFront();
  await page.until(`asks.length > ${before}`);
  assert.ok(!(await page.evaluate('asks')).includes('hidden'));
});

test('a frozen page catches up when it thaws, also if its socket died', async () => {
  const page = await tabs.open(line.url);
  await page.isConnected();
  await tabs.open('about:blank');
  await page.until('document.hidden');
  await page.freeze();
  other.say('one');
  await until('it is out', () => other.allSent);
  line.silence();
  other.say('two');
  await until('it is out', () => other.allSent);
  await page.thaw();
  await page.shows('two');
  assert.equal(await page.evaluate('globalThis.wasFrozen'), true);
  assert.deepEqual(await page.texts(), ['one', 'two']);
});

test('a page that comes back by the back button is the same one, and has missed nothing', async () => {
  const page = await tabs.open(server.url);
  await page.isConnected();
  await page.say('before');
  await until('it is out', () => other.received.length === 1);
  await page.evaluate('globalThis.thePage = "is the same"');
  await page.goTo(`${server.url}status`);
  other.say('said meanwhile');
  await until('it is out', () => other.allSent);
  await page.goBack();
  assert.equal(await page.evaluate('globalThis.thePage'), 'is the same', 'it came from the back/forward cache');
  await page.isConnected();
  await page.shows('said meanwhile');
  await page.say('after');
  await until('it is out', () => other.received.length === 3);
  assert.deepEqual(await page.texts(), ['before', 'said meanwhile', 'after']);
});
