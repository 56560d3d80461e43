/** Old browsers: the page keeps to what those of 2018 know. */

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { after, afterEach, before, test } from 'node:test';
import { parse } from 'acorn';
import { allSent, launch, PHONE, say, Server, shows, visit } from './harness.js';

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

test('all scripts are in the language of the oldest browsers', async () => {
  const names = (await readdir(www)).filter((name) => name.endsWith('.js'));
  assert.ok(names.includes('app.js'));
  for (const name of names) {
    const code = await read(name);
    assert.doesNotThrow(() => parse(code, { ecmaVersion: 2019, sourceType: 'module' }), name);
    assert.doesNotMatch(code, /\bglobalThis\b/, `${name}: it came in 2019`);
  }
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
  assert.deepEqual(page.problems, []);
});
