/** Old browsers: the page keeps to what those of 2018 know, and where it cannot start it says what it needs. */

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { parse } from 'acorn';
import { allSent, DESKTOP, launch, PHONE, say, Server, shows, visit } from './harness.js';

/** What the page says that it needs. */
const OLDEST = 'Chrome 66, Safari 11.1 or Firefox 60';
const CLASSIC = 'too-old.js';
const www = new URL('../../www/', import.meta.url);
const read = (name) => readFile(new URL(name, www), 'utf8');

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

test('all scripts are in the language of the oldest browsers, and the one for older ones in ES5', async () => {
  const names = (await readdir(www)).filter((name) => name.endsWith('.js'));
  assert.ok(names.includes('app.js') && names.includes(CLASSIC));
  for (const name of names) {
    const code = await read(name);
    const isClassic = name === CLASSIC;
    const language = isClassic ? { ecmaVersion: 5, sourceType: 'script' } : { ecmaVersion: 2019, sourceType: 'module' };
    assert.doesNotThrow(() => parse(code, language), name);
    assert.doesNotMatch(code, /\bglobalThis\b/, `${name}: it came in 2019`);
  }
});

test('the page and the README name the same oldest browsers', async () => {
  for (const name of [CLASSIC, '../README.md']) assert.ok((await read(name)).includes(OLDEST), name);
});

test('works without what browsers have learned since', async () => {
  const page = await visit(browser, 'about:blank', PHONE, { connected: false });
  await page.addInitScript(() => {
    const since = {
      window: [window, ['ResizeObserver', 'AbortController', 'visualViewport', 'structuredClone', 'queueMicrotask']],
      String: [String.prototype, ['matchAll', 'replaceAll', 'at', 'toWellFormed', 'trimEnd']],
      Array: [Array.prototype, ['at', 'flat', 'flatMap', 'findLast', 'toSorted']],
      Object: [Object, ['fromEntries', 'hasOwn', 'groupBy']],
      Promise: [Promise, ['allSettled', 'any', 'withResolvers']],
      Element: [Element.prototype, ['replaceChildren', 'checkVisibility']],
      form: [HTMLFormElement.prototype, ['requestSubmit']],
      dialog: [HTMLDialogElement.prototype, ['show', 'showModal', 'close']],
    };
    for (const [from, names] of Object.values(since)) names.forEach((name) => delete from[name]);
    const { addEventListener } = EventTarget.prototype;
    EventTarget.prototype.addEventListener = function listen(type, act, options) {
      if (options && options.signal) throw new Error('no listener ended by a signal');
      return addEventListener.call(this, type, act, options);
    };
  });
  await page.goto(server.url);
  const other = await visit(browser, server.url);
  await say(page, 'from long ago, see https://example.org/.');
  await allSent(page);
  await shows(other, 'from long ago, see https://example.org/.');
  assert.equal(await page.locator('#received-area a').getAttribute('href'), 'https://example.org/');

  const dialog = page.locator('#invite');
  assert.equal(await dialog.isVisible(), false);
  await page.getByRole('button', { name: 'Invite' }).click();
  await page.waitForFunction(() => document.querySelector('#invite-code').naturalWidth > 0);
  assert.equal(await dialog.isVisible(), true);
  await page.getByRole('button', { name: 'Done' }).click();
  assert.equal(await dialog.isVisible(), false);

  await page.getByRole('button', { name: 'Channels' }).click();
  await page.getByRole('button', { name: 'Close' }).click();
  assert.equal(await page.locator('#channels').isVisible(), false);
  await page.getByRole('button', { name: 'Channels' }).click();
  await page.getByLabel('Name of the channel').fill('Lights');
  await page.getByRole('button', { name: 'Go', exact: true }).click();
  await page.waitForURL(`${server.url}c/lights`);
  assert.deepEqual(page.problems, []);
});

/** The page, spoiled before it is loaded. */
async function visitSpoiled(spoil, options = DESKTOP) {
  const page = await visit(browser, 'about:blank', options, { connected: false });
  await spoil(page);
  await page.goto(server.url);
  return page;
}

const answer = (name, body) => (page) => page.route(`**/${name}`, (route) => route.fulfill({ body, contentType: 'text/javascript' }));

const SPOILED = {
  'cannot read a module': answer('view.js', 'export class View { what is this }'),
  'cannot read the first module': answer('app.js', 'let it = 1 ??? 2;'),
  'knows no WebSockets': (page) => page.addInitScript(() => { delete window.WebSocket; }),
  'gets no answer for a module': (page) => page.route('**/speech.js', (route) => route.abort()),
  'knows no modules': async (page) => {
    await page.route(server.url, async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.text()).replace('type="module"', 'type="unknown"') });
    });
  },
};

for (const [what, spoil] of Object.entries(SPOILED)) {
  test(`says what it needs where a browser ${what}`, async () => {
    const page = await visitSpoiled(spoil);
    await page.getByRole('alert').filter({ hasText: OLDEST }).waitFor();
    assert.equal(await page.textContent('#status'), 'Not started');
    assert.equal(await page.locator('#send-input').isVisible(), false, 'nothing to type into');
    assert.equal(await page.getByRole('button').count(), 0, 'nothing to press');
  });
}

test('says nothing of it while the page is on its way, nor when it has come', async () => {
  let letThrough;
  const comes = new Promise((resolve) => { letThrough = resolve; });
  const page = await visit(browser, 'about:blank', DESKTOP, { connected: false });
  await page.addInitScript(() => {
    globalThis.said = [];
    const look = () => globalThis.said.push(document.querySelector('#error-message').textContent);
    document.addEventListener('DOMContentLoaded', () => new MutationObserver(look)
      .observe(document.querySelector('#error-message'), { childList: true, characterData: true, subtree: true }));
  });
  await page.route('**/outbox.js', async (route) => {
    await comes;
    await route.continue();
  });
  const asked = page.waitForRequest('**/outbox.js');
  const classic = page.waitForResponse(`**/${CLASSIC}`);
  await page.goto(server.url, { waitUntil: 'commit' });
  await asked;
  await (await classic).finished();
  assert.equal(await page.textContent('#status'), 'Connecting…');
  letThrough();
  await page.waitForFunction(() => document.querySelector('#status').textContent === 'Connected');
  await page.waitForLoadState('load');
  assert.ok(!(await page.evaluate(() => globalThis.said)).some((text) => text.includes(OLDEST)));
  assert.equal(await page.locator('#error-message').isVisible(), false);
});
