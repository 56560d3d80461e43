/** EventSource in a real browser: without a line of code of the page's own it misses nothing, and never gives up. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { launch, Line, Server, until, visit } from './harness.js';

let browser;
let server;
before(async () => { browser = await launch(); });
afterEach(async () => {
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
});
after(() => browser.close());

const post = (text, type = 'text/plain') =>
  fetch(server.url, { method: 'POST', body: text, headers: { 'Content-Type': type } }).then(({ status }) => assert.equal(status, 200));

/** A page that listens to the stream at an address; `heard` is what it has heard, each as [type, data], but for the hello. */
async function listen(url) {
  const page = await visit(browser, `${url}nothing`, undefined, { connected: false });
  await page.evaluate((address) => {
    window.heard = [];
    window.hellos = [];
    window.source = new EventSource(address);
    window.source.addEventListener('hello', ({ data }) => window.hellos.push(JSON.parse(data)));
    for (const type of ['message', 'binary', 'forged']) {
      window.source.addEventListener(type, ({ data }) => window.heard.push([type, data]));
    }
  }, url);
  return page;
}

const heard = (page) => page.evaluate(() => window.heard);
const hellos = (page) => page.evaluate(() => window.hellos);

test('it hears each message as it was, and no more than that', async () => {
  server = await Server.start();
  const page = await listen(server.url);
  await until('it listens', async () => (await hellos(page)).length === 1);
  const said = ['good evening', '', ' two\nlines\n', '\n\nevent: forged\ndata: x\n\n', 'a\r\rid: x:1\r\ndata: y\r', '\0', 'ü🎉'];
  for (const text of said) await post(text);
  await post(new Uint8Array([0, 255]), 'application/octet-stream');
  await until('all is heard', async () => (await heard(page)).length > said.length);
  const shown = said.map((text) => ['message', text.replace(/\r\n?/g, '\n')]);
  assert.deepEqual(await heard(page), [...shown, ['binary', 'AP8=']]);
});

test('it goes on without a gap or a repeat, however often the line breaks and also when the server deletes messages', async () => {
  server = await Server.start();
  const line = await Line.to(server.port);
  const page = await listen(line.url);
  await until('it listens', async () => (await hellos(page)).length === 1);
  const said = [];
  for (let round = 0; round < 3; round += 1) {
    if (round === 2) {
      await fetch(server.url, { method: 'DELETE' });
      await until('it is told', async () => (await hellos(page)).length === 4);
    }
    for (const text of [`live ${round}`, `missed ${round}`, `missed too ${round}`]) {
      if (text.startsWith('missed too')) line.cut();
      await post(text);
      said.push(text);
    }
    line.mend();
    await until('it has caught up', async () => (await heard(page)).length === said.length);
  }
  assert.deepEqual((await heard(page)).map(([, data]) => data), said);
  assert.deepEqual((await hellos(page)).map(({ lost }) => lost), Array(5).fill(0), 'it came four times, and was told of a new epoch');
});

test('where there is no place it tries again and again, until there is one', async () => {
  server = await Server.start('--max-clients', '1');
  const controller = new AbortController();
  await fetch(`${server.url}?as=json`, { signal: controller.signal });
  const page = await listen(server.url);
  await until('it was told to come back', async () => (await server.status()).refused['503'] > 0);
  assert.notEqual(await page.evaluate(() => window.source.readyState), 2, 'it has not given up');
  controller.abort();
  await until('it is in', async () => (await hellos(page)).length === 1);
});

test('it misses nothing that is said after its first connection broke, though it had heard nothing yet', async () => {
  server = await Server.start();
  const line = await Line.to(server.port);
  const page = await listen(line.url);
  await until('it listens', async () => (await hellos(page)).length === 1);
  line.cut();
  await post('first');
  await post('second');
  line.mend();
  await until('it has caught up', async () => (await heard(page)).length === 2);
  assert.deepEqual((await heard(page)).map(([, data]) => data), ['first', 'second']);
  assert.deepEqual((await hellos(page)).map(({ seq, lost }) => [seq, lost]), [[0, 0], [0, 0]]);
});

test('it comes back to a server that has stopped, and to one that was away, and is told that numbers begin anew', async () => {
  server = await Server.start();
  const page = await listen(server.url);
  await page.evaluate(() => {
    window.failures = 0;
    window.source.addEventListener('error', () => { window.failures += 1; });
  });
  const failures = () => page.evaluate(() => window.failures);
  for (const [nth, signal, tries] of [[1, 'SIGTERM', 1], [2, 'SIGKILL', 2]]) {
    await until('it listens', async () => (await hellos(page)).length === nth);
    await post(`before ${signal}`);
    await until('it has heard', async () => (await heard(page)).length === nth);
    const before = await failures();
    await server.stop(signal);
    // The first is the end of its connection, and each one more a try in vain.
    await until('it has tried', async () => (await failures()) > before + tries - 1);
    assert.equal(await page.evaluate(() => window.source.readyState), 0, 'it goes on trying');
    await server.start();
  }
  await until('it is back', async () => (await hellos(page)).length === 3);
  await post('at last');
  await until('it has heard', async () => (await heard(page)).length === 3);
  assert.deepEqual((await heard(page)).map(([, data]) => data), ['before SIGTERM', 'before SIGKILL', 'at last']);
  assert.deepEqual((await hellos(page)).map(({ lost }) => lost), [0, null, null]);
});
