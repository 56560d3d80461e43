/** The server has `--state`, and is killed: pages go on as if only the line had been broken. */

import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import {
  allSent, isConnected, isNotConnected, launch, newClient, notes, own, PHONE, RawClient, say, Server, shows, texts, until, visit,
} from './harness.js';

let browser;
let server;
let folder;
before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => {
  // In memory, as the unit has it.
  folder = await mkdtemp('/dev/shm/foghorn-state-');
  server = await Server.start('--state', join(folder, 'state'));
});
afterEach(async () => {
  RawClient.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
  await rm(folder, { recursive: true });
});

/** Ends the server, and starts it again on its port. */
async function restart(signal = 'SIGKILL') {
  await server.stop(signal);
  await server.start();
}

const pause = (most) => new Promise((resolve) => setTimeout(resolve, Math.random() * most));

/** Ends the server again and again, until told to stop; returns how often. */
function vandal() {
  let goesOn = true;
  const done = (async () => {
    let kills = 0;
    while (goesOn) {
      await pause(1500);
      await restart(kills % 4 === 3 ? 'SIGTERM' : 'SIGKILL');
      kills += 1;
    }
    return kills;
  })();
  return () => {
    goesOn = false;
    return done;
  };
}

test('a server that is killed and started again is not noticed, and what was typed meanwhile goes out', async () => {
  const pages = [await visit(browser, server.url), await visit(browser, server.url, PHONE)];
  await say(pages[0], 'before');
  for (const page of pages) await shows(page, 'before');
  for (const [nth, signal] of ['SIGKILL', 'SIGTERM', 'SIGKILL'].entries()) {
    await server.stop(signal);
    for (const page of pages) await isNotConnected(page);
    await say(pages[0], `typed while it was away ${nth}`);
    await server.start();
    for (const page of pages) {
      await isConnected(page);
      await shows(page, `typed while it was away ${nth}`);
    }
    await allSent(pages[0]);
  }
  const all = ['before', ...[0, 1, 2].map((nth) => `typed while it was away ${nth}`)];
  for (const page of pages) {
    assert.deepEqual(await texts(page), all);
    assert.deepEqual(await notes(page), []);
    assert.equal(await page.locator('.unsure').count(), 0);
    assert.deepEqual(page.problems, []);
  }
  const newcomer = await newClient(server, '/?history=9');
  await until('the newcomer has all', () => newcomer.received.length === 4);
  assert.deepEqual(newcomer.received, all);
});

test('what a server had not read when it was killed goes out again by itself, and is never in doubt', async () => {
  const page = await visit(browser, server.url, PHONE);
  await say(page, 'before');
  await allSent(page);
  server.pause();
  await say(page, 'in doubt');
  await page.waitForSelector('.sending');
  await restart();
  await allSent(page);
  assert.equal(await page.locator('.unsure').count(), 0);
  const raw = await newClient(server, '/?history=9');
  await until('both are there', () => raw.received.length === 2);
  assert.deepEqual(raw.received, ['before', 'in doubt']);
  assert.deepEqual(await texts(page), ['before', 'in doubt']);
  assert.deepEqual(await notes(page), []);
});

test('two pages and a client talk over kill after kill: all get everything once and in order, and nobody is told of it', async (t) => {
  const pages = [await visit(browser, server.url), await visit(browser, server.url, PHONE)];
  const raw = await newClient(server);
  const witness = await newClient(server);
  const stop = vandal();
  const said = [];
  const talk = async (name, speak) => {
    for (let i = 0; i < 40; i += 1) {
      said.push(`${name} ${i}`);
      await speak(`${name} ${i}`);
      await pause(250);
    }
  };
  await Promise.all([
    ...pages.map((page, i) => talk(`page ${i}`, (text) => say(page, text))),
    talk('client', (text) => raw.say(text)),
  ]);
  const kills = await stop();
  t.diagnostic(`kills: ${kills}`);

  await Promise.all(pages.map(allSent));
  await until('the client is done', () => raw.allSent);
  const all = said.length;
  await until(`the witness has ${all} messages`, () => witness.received.length >= all);
  for (const page of pages) await until('the page has all', async () => (await texts(page)).length >= all);
  await until('the client has all', () => raw.received.length >= all);
  assert.deepEqual([...witness.received].sort(), [...said].sort(), 'each message once');
  for (const name of ['page 0', 'page 1', 'client']) {
    const its = (text) => text.startsWith(name);
    assert.deepEqual(witness.received.filter(its), said.filter(its), `those of ${name} in order`);
  }
  assert.deepEqual(raw.received, witness.received);
  for (const [i, page] of pages.entries()) {
    assert.deepEqual(await texts(page), witness.received);
    assert.deepEqual(await notes(page), []);
    assert.deepEqual(await own(page), said.filter((text) => text.startsWith(`page ${i}`)));
    assert.equal(await page.locator('.own .sent').count(), 40, `page ${i} knows that its own are sent`);
    assert.deepEqual(page.problems, []);
  }
});

test('a page of one\'s own with foghorn.js, and one with EventSource, go on over kill after kill', async (t) => {
  const www = join(folder, 'www');
  await mkdir(www);
  await copyFile(new URL('../../www/foghorn.js', import.meta.url), join(www, 'foghorn.js'));
  await writeFile(join(www, 'index.html'), `<!doctype html>
    <title>Mine</title>
    <script type="module">
      import { Foghorn } from './foghorn.js';
      Object.assign(globalThis, { heard: [], states: [], unsent: [], underWay: [], events: [], hellos: [] });
      const flush = () => { while (unsent.length && horn.send(unsent[0])) underWay.push(unsent.shift()); };
      globalThis.horn = new Foghorn('/c/mine', {
        onMessage: (data, { seq }) => {
          heard.push([seq, data]);
          if (underWay[0] === data) underWay.shift();
        },
        onState: ({ name, lost, restarted, untaken }) => {
          states.push({ name, lost, restarted, untaken });
          // What did not get through goes first.
          if (name === 'resuming' && untaken != null) unsent.unshift(...underWay.splice(underWay.length - untaken));
          if (name === 'open') flush();
        },
      });
      globalThis.speak = (text) => { unsent.push(text); flush(); };
      const source = new EventSource('/c/mine?as=events');
      source.onmessage = ({ data, lastEventId }) => events.push([Number(lastEventId.split(':')[1]), data]);
      source.addEventListener('hello', ({ data }) => hellos.push(JSON.parse(data)));
    </script>`);
  await server.restart('--state', join(folder, 'state'), '--www', www);
  const page = await visit(browser, server.url, PHONE, { connected: false });
  await page.waitForFunction(() => globalThis.horn?.state === 'open' && globalThis.hellos.length === 1);
  const stop = vandal();
  for (let i = 0; i < 60; i += 1) {
    await page.evaluate((text) => globalThis.speak(text), `mine ${i}`);
    await pause(150);
  }
  t.diagnostic(`kills: ${await stop()}`);
  const expected = Array.from({ length: 60 }, (_, i) => [i + 1, `mine ${i}`]);
  await page.waitForFunction(() => globalThis.heard.length >= 60 && globalThis.events.length >= 60);
  assert.deepEqual(await page.evaluate(() => globalThis.heard), expected);
  assert.deepEqual(await page.evaluate(() => globalThis.events), expected);
  const told = await page.evaluate(() => globalThis.states.filter(({ name }) => name === 'resuming').slice(1));
  assert.ok(told.length > 0, 'it has come back');
  for (const { lost, restarted, untaken } of told) assert.deepEqual([lost, restarted, typeof untaken], [0, false, 'number']);
  const hellos = await page.evaluate(() => globalThis.hellos);
  for (const { lost, epoch } of hellos) assert.deepEqual([lost, epoch], [0, hellos[0].epoch]);
});
