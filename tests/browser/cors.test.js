/** Pages of other origins in a real browser: one that may join uses a channel over HTTP, a foreign one can neither use nor read it. */

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, afterEach, before, test } from 'node:test';
import { launch, newClient, RawClient, Server, until, visit } from './harness.js';

let browser;
let server;
let elsewhere;
before(async () => {
  browser = await launch();
  server = await Server.start('--allow-origin', 'null');
  // Another program on the board: its page is of the same host, on another port.
  elsewhere = http.createServer((request, response) => {
    response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>another program</title>');
  });
  await new Promise((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  RawClient.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
});
after(async () => {
  await browser.close();
  elsewhere.close();
  await server.stop();
});

/** A page of this host, on another port than the server. */
const pageOf = (host) => visit(browser, `http://${host}:${elsewhere.address().port}/`, undefined, { connected: false });

/** What a page gets when it asks: status, text, and what it can read of the header. */
const ask = (page, path, options) => page.evaluate(async ([url, init]) => {
  try {
    const response = await fetch(url, init);
    const text = await response.text();
    const header = Object.fromEntries(['Foghorn-Seq', 'Age', 'ETag', 'Date'].map((name) => [name, response.headers.get(name)]));
    return { status: response.status, text, header };
  } catch (error) {
    return { error: error.name };
  }
}, [new URL(path, server.url).href, options]);

/** Has somebody say something in a channel. */
async function publish(text) {
  const client = await newClient(server);
  client.say(text);
  await until('it is said', () => client.allSent);
}

const head = async () => (await (await fetch(`${server.url}?status`)).json()).head;

/** What a browser sends only after it has asked whether it may. */
const UNUSUAL = { headers: { 'X-Requested-With': 'test', Authorization: 'Bearer 4711' } };

test('a page on another port of the board posts, reads and deletes messages, and reads why it is refused', async () => {
  const page = await pageOf('127.0.0.1');
  for (const options of [{}, UNUSUAL]) {
    const posted = await ask(page, '/', { ...options, method: 'POST', body: 'good evening' });
    assert.deepEqual([posted.status, JSON.parse(posted.text).clients], [200, 0]);
  }
  for (const options of [{}, UNUSUAL]) {
    const last = await ask(page, '/?last', options);
    assert.deepEqual([last.status, last.text], [200, 'good evening']);
    assert.match(last.header['Foghorn-Seq'], /^[a-z]+:\d+$/);
    assert.equal(last.header.ETag, `"${last.header['Foghorn-Seq']}"`);
    assert.match(last.header.Age, /^\d+$/);
    assert.equal(last.header.Date, null, 'no more than it needs');
  }
  const refused = await ask(page, '/c/no.name', { method: 'DELETE' });
  assert.equal(refused.status, 404);
  assert.match(refused.text, /There is no such channel/);
  assert.equal((await ask(page, '/', { method: 'DELETE' })).status, 200);
  assert.equal((await ask(page, '/?last')).status, 204);
});

/** What the first events of a stream say, or `null` if there are none to be had. */
const events = (page, path, count) => page.evaluate(([url, wanted]) => new Promise((resolve) => {
  const source = new EventSource(url);
  const said = [];
  const end = (result) => {
    source.close();
    resolve(result);
  };
  source.onmessage = ({ data }) => {
    said.push(data);
    if (said.length === wanted) end(said);
  };
  source.onerror = () => end(null);
}), [new URL(path, server.url).href, count]);

test('a page on another port of the board gets events, and a foreign one none', async () => {
  const page = await pageOf('127.0.0.1');
  for (const body of ['one', 'two\nlines']) await ask(page, '/c/events', { method: 'PUT', body });
  assert.deepEqual(await events(page, '/c/events?as=events&history=2', 2), ['one', 'two\nlines']);
  assert.equal(await events(await pageOf('localhost'), '/c/events?as=events&history=2', 2), null);
});

test('a page in a sandbox may as well, where that is allowed', async () => {
  await publish('good evening');
  const page = await pageOf('localhost');
  await page.setContent('<iframe sandbox="allow-scripts" srcdoc="<title>sandbox</title>"></iframe>');
  const frame = await (await page.waitForSelector('iframe')).contentFrame();
  await frame.waitForFunction(() => document.title === 'sandbox');
  assert.equal((await ask(frame, '/?last', UNUSUAL)).text, 'good evening');
});

test('a foreign page can neither read nor change anything, and has no message as a part of its own', async () => {
  await publish('document.title = "run"');
  const said = await head();
  const page = await pageOf('localhost');
  for (const [path, options] of [
    ['/?last', {}], ['/?last', UNUSUAL], ['/?last', { mode: 'no-cors' }], ['/?status', {}],
    ['/', { method: 'DELETE' }], ['/c/no.name', { method: 'DELETE' }], ['/', { method: 'POST', body: 'evil' }],
    ['/', { method: 'POST', body: 'evil', ...UNUSUAL }], ['/?as=lines&history=1&count=1', {}],
  ]) {
    assert.deepEqual(await ask(page, path, options), { error: 'TypeError' }, path);
  }
  // Sent without asking, as a form would be; what comes back is for nobody's eyes.
  await ask(page, '/', { method: 'POST', body: 'evil', mode: 'no-cors' });
  const loaded = await page.evaluate((src) => new Promise((resolve) => {
    const script = document.createElement('script');
    Object.assign(script, { src, onload: () => resolve(true), onerror: () => resolve(false) });
    document.head.append(script);
  }), `${server.url}?last`);
  assert.deepEqual([loaded, await page.title()], [false, 'another program']);
  assert.equal(await head(), said, 'nothing was deleted or said');
});
