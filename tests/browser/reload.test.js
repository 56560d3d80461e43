/** `--reload`: a saved file is on every open phone at once, styles without a reload, and nothing is lost when the server restarts. */

import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { parse } from 'acorn';
import { launch, PHONE, Server, until, visit } from './harness.js';

let browser;
let server;
let www;

before(async () => { browser = await launch(); });
after(() => browser.close());

beforeEach(async () => {
  www = await mkdtemp(join(tmpdir(), 'foghorn-reload-'));
  await save('index.html', page('first'));
  await save('style.css', 'p { color: rgb(1, 0, 0) }');
  await save('other.css', '@import "imported.css"; input { color: rgb(2, 0, 0) }');
  await save('imported.css', 'body { background: rgb(3, 0, 0) }');
  server = await Server.start('--www', www, '--reload');
});
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
  await rm(www, { recursive: true });
});

const save = (name, text) => writeFile(join(www, name), text);

const page = (text) => `<!doctype html><link rel=stylesheet href=/style.css><link rel=stylesheet href="other.css?x#y">
<script src="/reload.js"></script><p>${text}</p><input>`;

/** A phone with the page, which counts how often it is loaded, and waits for changes. */
async function phone(options = PHONE) {
  const waits = options.waits ?? true;
  const one = await visit(browser, 'about:blank', PHONE, { connected: false });
  one.loads = 0;
  one.on('load', () => { one.loads += 1; });
  const waiting = waits && one.waitForResponse(isStream);
  await one.goto(new URL(options.path || '', server.url).href);
  await waiting;
  return one;
}

const isStream = (response) => (response.headers()['content-type'] || '').startsWith('text/event-stream');
const isMissing = (response) => response.request().method() === 'HEAD' && response.status() === 404;
const shows = (one, text) => one.waitForFunction((expected) => document.querySelector('p')?.textContent === expected, text);
const style = (one, selector, name) => one.$eval(selector, (element, property) => getComputedStyle(element)[property], name);

/** Whatever would reload a phone has done so by now: a further change is told later, and seen. */
async function settle(phones) {
  const text = `settled ${Date.now()}`;
  await save('index.html', page(text));
  await Promise.all(phones.map((one) => shows(one, text)));
}

test('the script is in the language of the oldest browsers', async () => {
  const code = await readFile(new URL('../../src/page/reload.js', import.meta.url), 'utf8');
  assert.doesNotThrow(() => parse(code, { ecmaVersion: 2019, sourceType: 'script' }));
  assert.doesNotMatch(code, /\bglobalThis\b/);
});

test('two phones show a saved file at once, each by one load', async () => {
  const phones = await Promise.all([phone(), phone()]);
  const took = [];
  for (let nth = 0; nth < 5; nth += 1) {
    // Further apart than changes are told, as people save.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const began = performance.now();
    await save('index.html', page(`saved ${nth}`));
    await Promise.all(phones.map((one) => shows(one, `saved ${nth}`)));
    took.push(Math.round(performance.now() - began));
  }
  console.log(`from the save to both phones: ${took.sort((a, b) => a - b).join(', ')} ms`);
  await until('all have loaded', () => phones.every((one) => one.loads === 6));
  await save('.new.html', page('renamed'));
  await rename(join(www, '.new.html'), join(www, 'index.html'));
  await Promise.all(phones.map((one) => shows(one, 'renamed')));
  await until('they have loaded', () => phones.every((one) => one.loads === 7));
  await settle(phones);
  await until('once', () => phones.every((one) => one.loads === 8));
  assert.deepEqual(phones.flatMap((one) => one.problems), []);
});

test('a style is swapped without a reload, and without a moment without it', async () => {
  const one = await phone();
  await one.fill('input', 'half a sentence');
  await one.evaluate(() => {
    window.colors = new Set();
    const look = () => {
      window.colors.add(getComputedStyle(document.querySelector('p')).color);
      requestAnimationFrame(look);
    };
    look();
  });
  for (let nth = 10; nth < 13; nth += 1) {
    await save('style.css', `p { color: rgb(${nth}, 0, 0) }`);
    await one.waitForFunction((color) => getComputedStyle(document.querySelector('p')).color === color, `rgb(${nth}, 0, 0)`);
  }
  await one.waitForFunction(() => document.querySelectorAll('link').length === 2);
  assert.equal(await style(one, 'input', 'color'), 'rgb(2, 0, 0)', 'the other one stays');
  assert.equal(await one.$eval('link:nth-of-type(2)', (link) => link.getAttribute('href')), 'other.css?x#y');
  // By another style that imports it.
  await save('imported.css', 'body { background: rgb(13, 0, 0) }');
  await one.waitForFunction(() => getComputedStyle(document.body).backgroundColor === 'rgb(13, 0, 0)');
  assert.deepEqual(await one.evaluate(() => [...window.colors]), ['rgb(1, 0, 0)', 'rgb(10, 0, 0)', 'rgb(11, 0, 0)', 'rgb(12, 0, 0)']);
  assert.equal(await one.inputValue('input'), 'half a sentence');
  assert.equal(one.loads, 1);
  assert.deepEqual(one.problems, []);
});

test('a style that the page itself imports comes with the page', async () => {
  await save('index.html', `<style>@import "imported.css";</style>${page('imports')}`);
  const one = await phone();
  await save('style.css', 'p { color: rgb(11, 0, 0) }');
  await one.waitForFunction(() => getComputedStyle(document.querySelector('p')).color === 'rgb(11, 0, 0)');
  assert.equal(one.loads, 1, 'one that a link names is swapped all the same');
  await save('other.css', 'input { color: rgb(12, 0, 0) }');
  await one.waitForFunction(() => getComputedStyle(document.querySelector('input')).color === 'rgb(12, 0, 0)');
  await save('imported.css', 'body { background: rgb(13, 0, 0) }');
  await one.waitForFunction(() => getComputedStyle(document.body).backgroundColor === 'rgb(13, 0, 0)');
});

test('after a restart of the server a page loads itself anew, with what was saved in between', async () => {
  const phones = await Promise.all([phone(), phone()]);
  await server.stop();
  await save('index.html', page('saved meanwhile'));
  await server.start();
  await Promise.all(phones.map((one) => shows(one, 'saved meanwhile')));
  await settle(phones);
  await until('by two loads', () => phones.every((one) => one.loads === 3));
});

test('a page that is gone for a moment is not loaded in vain', async () => {
  const one = await phone();
  await rename(join(www, 'index.html'), join(www, 'away.html'));
  await one.waitForResponse(isMissing);
  // Nor for another file that is saved meanwhile.
  await one.evaluate(() => {
    window.told = [];
    new EventSource('/reload.js').addEventListener('change', ({ data }) => window.told.push(JSON.parse(data).paths));
  });
  await save('other.js', '');
  await one.waitForFunction(() => window.told.some((paths) => paths && paths.includes('other.js')));
  await one.waitForResponse(isMissing);
  assert.equal(await one.textContent('p'), 'first');
  await save('index.html', page('back'));
  await shows(one, 'back');
});

test('a page in the place of one that is missing is loaded anew as well', async () => {
  await save('404.html', page('lost'));
  const one = await phone({ path: 'nothing' });
  await shows(one, 'lost');
  await server.stop();
  await save('404.html', page('still lost'));
  await server.start();
  await shows(one, 'still lost');
  const found = one.waitForResponse((response) => response.request().method() === 'GET' && response.url().endsWith('/nothing'));
  await save('nothing', page('found'));
  assert.equal((await found).status(), 200);
});

test('a file that is saved while the page is loaded is not missed, and no page loads itself for ever', async () => {
  const one = await visit(browser, 'about:blank', PHONE, { connected: false });
  let loads = 0;
  one.on('load', () => { loads += 1; });
  // The script comes when the file was saved already.
  await one.route('**/reload.js', async (route) => {
    if (route.request().headers().accept.includes('event-stream')) return route.continue();
    if (loads === 0) {
      await save('index.html', page('saved meanwhile'));
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    return route.continue();
  });
  await one.goto(server.url);
  await shows(one, 'saved meanwhile');
  await settle([one]);
  await until('by two loads and one for the next', () => loads === 3);
});

test('a hidden page lets go of its stream, and learns what it has missed when it is seen again', async () => {
  const one = await phone();
  const set = (state) => one.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
  }, state);
  await set(true);
  await save('index.html', page('missed'));
  const other = await phone();
  await shows(other, 'missed');
  assert.equal(await one.textContent('p'), 'first');
  await set(false);
  await shows(one, 'missed');
});

test('where nothing is watched the page is as it is', async () => {
  await server.restart('--www', www);
  const one = await phone({ waits: false });
  await save('index.html', page('second'));
  assert.equal(await one.textContent('p'), 'first');
  assert.equal(one.problems.length, 1, 'no script came, and that is all');
  assert.match(one.problems[0], /execute script .*reload.js/);
});
