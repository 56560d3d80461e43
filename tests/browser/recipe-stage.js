/** What the tests of games stand on: a recipe's server, and all pages of it that a test has opened. For the tests of one file. */

import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { launch, Line, PHONE, RawClient } from './harness.js';
import { open, serve } from './recipes.js';

export let browser;
export let server;
export let pages;

before(async () => { browser = await launch(); });
after(() => browser.close());
afterEach(async () => {
  const problems = pages.flatMap((page) => page.problems);
  await Promise.all(browser.contexts().map((context) => context.close()));
  RawClient.closeAll();
  Line.closeAll();
  await server.stop();
  assert.deepEqual(problems, []);
});

/** Serves a recipe, as each test does first. */
export async function start(name, ...flags) {
  pages = [];
  server = await serve(name, ...flags);
}

/** Opens a page of it, which says yes whatever it asks. */
export async function visit(path = '/', device = PHONE, { at = server, ...options } = {}) {
  const page = await open(browser, new URL(path, at.url).href, device, options);
  pages.push(page);
  page.on('dialog', (dialog) => dialog.accept());
  return page;
}
