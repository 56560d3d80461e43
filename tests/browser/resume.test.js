/** The line breaks in every way that it does for phones; nothing is missed, nothing comes twice. */

import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { WebSocketServer } from 'ws';
import {
  allSent, isConnected, isNotConnected, launch, Line, newClient, notes, others, own, PHONE, RawClient, say, Server, shows,
  texts, until, visit, waitsForEchoes,
} from './harness.js';

let browser;
let server;
let line;
before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => {
  server = await Server.start();
  line = await Line.to(server.port);
});
afterEach(async () => {
  RawClient.closeAll();
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
});

test('what is typed while offline waits, in order, and goes out once', async () => {
  const page = await visit(browser, line.url, PHONE);
  const other = await visit(browser, server.url);
  line.cut();
  await isNotConnected(page);
  assert.match(await page.textContent('#status'), /Connecting|Reconnecting in \d+ s|Offline/);
  for (const text of ['first', 'second', 'third']) await say(page, text);
  assert.deepEqual(await texts(page), ['first', 'second', 'third']);
  assert.equal(await page.getByText('Sending…').count(), 3);
  await say(other, 'meanwhile');
  line.mend();
  await allSent(page);
  for (const one of [page, other]) {
    await shows(one, 'third');
    assert.deepEqual(await texts(one), ['meanwhile', 'first', 'second', 'third']);
  }
  assert.deepEqual(await notes(page), []);
});

test('a server that is killed and started again is noticed, and said; its new messages are not missed', async () => {
  const pages = [await visit(browser, server.url), await visit(browser, server.url), await visit(browser, server.url, PHONE)];
  await say(pages[0], 'before');
  for (const page of pages) await shows(page, 'before');
  await server.stop('SIGKILL');
  for (const page of pages) await isNotConnected(page);
  await say(pages[0], 'typed while it was away');
  await server.start();
  const raw = await newClient(server);
  raw.say('the first of the new run');
  for (const page of pages) {
    await isConnected(page);
    await shows(page, 'the first of the new run');
    await shows(page, 'typed while it was away');
    assert.deepEqual(await notes(page), ['The conversation has begun anew']);
    assert.equal((await texts(page)).length, 3);
  }
});

test('two pages and a client, cut off again and again at random, all get everything once and in order', async (t) => {
  const lines = [line, await Line.to(server.port), await Line.to(server.port)];
  const witness = await newClient(server);
  const pages = [await visit(browser, lines[0].url), await visit(browser, lines[1].url, PHONE)];
  const raw = await newClient(lines[2]);
  const pause = (most) => new Promise((resolve) => setTimeout(resolve, Math.random() * most));
  let talking = true;
  const vandals = lines.map(async (one) => {
    let cuts = 0;
    while (talking) {
      await pause(700);
      one.cut();
      cuts += 1;
      await pause(300);
      one.mend();
    }
    return cuts;
  });
  const said = [];
  const talk = async (name, speak) => {
    for (let i = 0; i < 60; i += 1) {
      said.push(`${name} ${i}`);
      await speak(`${name} ${i}`);
      await pause(120);
    }
  };
  await Promise.all([
    ...pages.map((page, i) => talk(`page ${i}`, (text) => say(page, text))),
    talk('client', (text) => raw.say(text)),
  ]);
  talking = false;
  t.diagnostic(`cuts: ${(await Promise.all(vandals)).join(', ')}`);

  await Promise.all(pages.map(allSent));
  await until('the client is done', () => raw.allSent);
  const all = said.length;
  await until(`the witness has ${all} messages`, () => witness.received.length >= all);
  for (const page of pages) await until('the page has all', async () => (await texts(page)).length >= all);
  await until('the client has all', () => raw.received.length >= all);
  assert.deepEqual([...witness.received].sort(), [...said].sort(), 'each message once');
  for (const name of ['page 0', 'page 1', 'client']) {
    const own = witness.received.filter((text) => text.startsWith(name));
    assert.deepEqual(own, said.filter((text) => text.startsWith(name)), `those of ${name} in order`);
  }
  assert.deepEqual(raw.received, witness.received);
  for (const [i, page] of pages.entries()) {
    assert.deepEqual(await texts(page), witness.received);
    assert.deepEqual(await notes(page), []);
    assert.equal(await page.locator('.own').count(), 60, `page ${i} knows its own`);
    assert.deepEqual(page.problems, []);
  }
});

test('a socket that is dead without a word is replaced, and what was sent into it goes out once', async () => {
  const page = await visit(browser, line.url, PHONE);
  const other = await visit(browser, server.url);
  const letThrough = line.silence();
  await say(page, 'into the void');
  await shows(other, 'into the void');
  await allSent(page);
  letThrough();
  await say(other, 'after it');
  await shows(page, 'after it');
  for (const one of [page, other]) assert.deepEqual(await texts(one), ['into the void', 'after it']);
});

test('what somebody else says in the same words is not taken for one\'s own that did not get through', async () => {
  const page = await visit(browser, line.url, PHONE);
  const other = await visit(browser, server.url);
  const witness = await newClient(server);
  await waitsForEchoes(page);
  await say(page, 'before');
  await allSent(page);
  line.silence('client');
  for (const text of ['yes', 'yes', 'more']) await say(page, text);
  await say(other, 'yes');
  await page.waitForFunction(() => document.querySelectorAll('.own .sent').length === 2);
  await say(other, 'news');
  await shows(page, 'news');
  assert.deepEqual(await texts(page), ['before', 'yes', 'news', 'yes', 'more'], 'it cannot know better');
  line.cut();
  await isNotConnected(page);
  await say(page, 'typed offline');
  line.mend();
  await shows(other, 'typed offline');
  await allSent(page);
  assert.deepEqual(witness.received, ['before', 'yes', 'news', 'yes', 'yes', 'more', 'typed offline']);
  for (const one of [page, other]) assert.deepEqual(await texts(one), witness.received);
  assert.deepEqual(await own(page), ['before', 'yes', 'yes', 'more', 'typed offline']);
  assert.equal(await page.locator('.own .sent').count(), 5);
  assert.equal(await page.locator('.message:not(.own) .mark').count(), 0);
  assert.deepEqual(await page.$$eval('.message', (all) => all.map((one) => one.classList.contains('own'))),
    [true, false, false, true, true, true, true]);
  assert.deepEqual(await own(other), ['yes', 'news']);
  assert.deepEqual(page.problems, []);
});

test('what got through does not go out again, whoever says the same', async () => {
  const page = await visit(browser, line.url, PHONE);
  const other = await visit(browser, server.url);
  const witness = await newClient(server);
  line.silence('server');
  for (const text of ['yes', 'no']) await say(page, text);
  await shows(other, 'no');
  for (const text of ['no', 'yes']) await say(other, text);
  await allSent(other);
  line.cut();
  await isNotConnected(page);
  await say(page, 'no');
  line.mend();
  await until('all is there', async () => (await texts(page)).length === 5);
  await allSent(page);
  assert.deepEqual(witness.received, ['yes', 'no', 'no', 'yes', 'no']);
  assert.deepEqual(await own(page), ['yes', 'no', 'no']);
  assert.deepEqual(await others(page), ['no', 'yes']);
});

test('two people say the same few words over lines that fail in every way: nothing twice, nothing lost', async (t) => {
  const lines = [line, await Line.to(server.port)];
  const witness = await newClient(server);
  const pages = [await visit(browser, lines[0].url), await visit(browser, lines[1].url, PHONE)];
  const any = (all) => all[Math.floor(Math.random() * all.length)];
  const pause = (most) => new Promise((resolve) => setTimeout(resolve, Math.random() * most));
  let talking = true;
  const vandals = lines.map(async (one) => {
    let cuts = 0;
    while (talking) {
      await pause(600);
      one.silence(any(['both', 'client', 'server']));
      await pause(400);
      one.cut();
      cuts += 1;
      await pause(300);
      one.mend();
    }
    return cuts;
  });
  const said = await Promise.all(pages.map(async (page) => {
    const words = Array.from({ length: 60 }, () => any(['yes', 'no', 'yes']));
    for (const word of words) {
      await say(page, word);
      await pause(120);
    }
    return words;
  }));
  talking = false;
  t.diagnostic(`cuts: ${(await Promise.all(vandals)).join(', ')}`);

  await Promise.all(pages.map(allSent));
  const all = said.flat();
  for (const page of pages) await until('the page has all', async () => (await texts(page)).length >= all.length);
  await until('the witness has all', () => witness.received.length >= all.length);
  assert.deepEqual([...witness.received].sort(), [...all].sort(), 'each message once');
  for (const [i, page] of pages.entries()) {
    assert.deepEqual(await texts(page), witness.received);
    assert.deepEqual(await own(page), said[i], 'what it said, in order');
    assert.equal(await page.locator('.own .sent').count(), 60);
    assert.deepEqual((await others(page)).sort(), [...said[1 - i]].sort());
    assert.deepEqual(await notes(page), []);
    assert.deepEqual(page.problems, []);
  }
});

test('what a server may or may not have got before it died is not sent twice, but can be sent again', async () => {
  const page = await visit(browser, server.url, PHONE);
  server.pause();
  await say(page, 'in doubt');
  await page.waitForSelector('.sending');
  await server.stop('SIGKILL');
  await server.start();
  const raw = await newClient(server);
  await page.waitForSelector('.unsure');
  await say(page, 'later');
  await allSent(page);
  assert.deepEqual(raw.received, ['later']);
  await page.getByRole('button', { name: 'Send again' }).click();
  await page.waitForFunction(() => !document.querySelector('.unsure'));
  await allSent(page);
  await until('it is there', () => raw.received.length === 2);
  assert.deepEqual(await texts(page), ['later', 'in doubt']);
});

test('a change of network is a reason to look at once', async () => {
  const page = await visit(browser, line.url, PHONE);
  const other = await visit(browser, server.url);
  line.silence();
  await say(other, 'said meanwhile');
  await page.evaluate(() => dispatchEvent(new Event('online')));
  await shows(page, 'said meanwhile');
});

test('what the server no longer had is counted', async () => {
  await server.stop();
  server = await Server.start('--backlog', '64KiB', '--max-message', '16KiB');
  const short = await Line.to(server.port);
  const page = await visit(browser, short.url, PHONE);
  const raw = await newClient(server);
  short.cut();
  await isNotConnected(page);
  for (let i = 0; i < 40; i += 1) raw.say(`${i} ${'x'.repeat(8_000)}`);
  await until('all is out', () => raw.received.length === 40);
  short.mend();
  await until('the newest is there', async () => (await texts(page)).at(-1)?.startsWith('39 '));
  const shown = await texts(page);
  assert.deepEqual(await notes(page), [`${40 - shown.length} messages were missed`]);
  assert.ok(shown.length < 40);
});

test('a server that does not greet as Foghorn does is named, and tried again', async () => {
  const page = await visit(browser, server.url);
  const { port } = server;
  await server.stop();
  const plain = new WebSocketServer({ port, host: '127.0.0.1' });
  plain.on('connection', (socket) => socket.send('connected to WebSocket server'));
  await page.waitForFunction(() => /“connected to WebSocket server”/.test(document.querySelector('#error-message').textContent));
  await page.waitForFunction(() => /Reconnecting in \d+ s/.test(document.querySelector('#status').textContent));
  for (const client of plain.clients) client.terminate();
  await new Promise((resolve) => plain.close(resolve));
  await server.start();
  await isConnected(page);
  assert.equal(await page.locator('#error-message').isVisible(), false);
  assert.deepEqual(page.problems, []);
});

test('a page of one\'s own resumes in five lines, served by --www', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'foghorn-www-'));
  t.after(() => rm(folder, { recursive: true }));
  await copyFile(new URL('../../www/foghorn.js', import.meta.url), join(folder, 'foghorn.js'));
  await writeFile(join(folder, 'index.html'), `<!doctype html>
    <title>Mine</title>
    <pre></pre>
    <script type="module">
      import { Foghorn } from './foghorn.js';
      const horn = new Foghorn('/', { onMessage: (data) => document.querySelector('pre').append(data, ' ') });
      document.onclick = () => horn.send('clicked');
    </script>`);
  await server.stop();
  server = await Server.start('--www', folder);
  const other = await newClient(server);
  const cuttable = await Line.to(server.port);
  const page = await visit(browser, cuttable.url, PHONE, { connected: false });
  await until('its client is in', async () => (await server.status()).clients === 2);
  other.say('one');
  await page.waitForFunction(() => document.querySelector('pre').textContent === 'one ');
  cuttable.cut();
  other.say('two');
  await until('it is out', () => other.allSent);
  cuttable.mend();
  await page.waitForFunction(() => document.querySelector('pre').textContent === 'one two ');
  await page.click('body');
  await until('it is there', () => other.received.at(-1) === 'clicked');
});

test('a handler that throws does not lose the count', async () => {
  const page = await visit(browser, server.url);
  await page.evaluate(async () => {
    const { Foghorn } = await import('./foghorn.js');
    globalThis.heard = [];
    globalThis.horn = new Foghorn('/', { onMessage: (data) => { globalThis.heard.push(data); throw new Error('a bug'); } });
  });
  await page.waitForFunction(() => globalThis.horn.state === 'open');
  await say(page, 'one');
  await say(page, 'two');
  await page.waitForFunction(() => globalThis.heard.join() === 'one,two');
  assert.equal(await page.evaluate(() => globalThis.horn.state), 'open');
});
