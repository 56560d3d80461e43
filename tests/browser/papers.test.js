/** What the papers show of pages is run as it stands there, but for the address: in a real browser, beside a real server. */

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { launch, PHONE, Server, until, visit } from './harness.js';

const project = new URL('../../', import.meta.url);
const PAPERS = ['README.md', ...readdirSync(new URL('docs/', project)).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`)];

/** What a browser runs, by its paper and words that only it has; a program gets a page of the server's that does nothing. */
const BLOCKS = PAPERS.flatMap((paper) => {
  const text = readFileSync(new URL(paper, project), 'utf8');
  return [...text.matchAll(/^```(js|html)\n([^]*?)^```$/gm)].map(([, language, code]) => ({ paper, language, code, run: false }));
});

function shown(paper, language, words) {
  const found = BLOCKS.filter((block) => block.paper === paper && block.language === language && block.code.includes(words));
  assert.equal(found.length, 1, `${paper} shows one ${language} with ${words}`);
  found[0].run = true;
  return found[0].code.replace(/raspberrypi\.local:19(19|20)/g, `127.0.0.1:${server.port}`);
}

let browser;
let server;
let folder;
before(async () => { browser = await launch(); });
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
  if (folder) rmSync(folder, { recursive: true });
  folder = undefined;
});
after(() => browser.close());

/** Serves this page in place of the built-in one. */
async function serve(html) {
  folder = mkdtempSync(join(tmpdir(), 'papers-'));
  server = await Server.start('--www', folder);
  writeFileSync(join(folder, 'index.html'), typeof html === 'function' ? html() : html);
}

const say = (text, path = '') => fetch(`${server.url}${path}`, { method: 'POST', body: text });

const clients = async (path = '') => (await (await fetch(`${server.url}${path}?status`)).json()).clients;

/** A page that runs this program, and what it says in the console. */
async function runs(program, hash = '') {
  writeFileSync(join(folder, 'index.html'), `<!doctype html><script type="module">${program}</script>`);
  const page = await visit(browser, `${server.url}${hash}`, PHONE, { connected: false });
  const logged = [];
  page.on('console', (message) => { if (message.type() === 'log') logged.push(message.text()); });
  return { page, logged };
}

test("the README's program is greeted, and hears what it says", async () => {
  await serve('');
  const { page, logged } = await runs(shown('README.md', 'js', 'new WebSocket'));
  await until('it hears itself', () => logged.includes('hello, room'));
  assert.deepEqual(logged, ['connected to WebSocket server', 'hello, room']);
  assert.deepEqual(page.problems, []);
});

test('a page of five lines shows what is said, and misses nothing', async () => {
  await serve(() => shown('docs/your-own-page.md', 'html', '<ul id="list">'));
  const page = await visit(browser, server.url, PHONE, { connected: false });
  const texts = () => page.$$eval('li', (all) => all.map((line) => line.textContent));
  await until('it is connected', async () => await page.title() === 'open');
  await say('hello');
  await until('it shows that', async () => (await texts()).length === 1);
  await server.restart('--www', folder);
  await until('it is back', async () => await page.title() === 'open' && await clients() === 1);
  await say('<b>again</b>');
  await until('it shows that, too', async () => (await texts()).length === 2);
  assert.deepEqual(await texts(), ['hello', '<b>again</b>']);
  assert.deepEqual(page.problems, []);
});

test('the client brings a code, has the last message first, and sends', async () => {
  await serve('');
  await say('off', 'c/lights');
  const { page, logged } = await runs(shown('docs/your-own-page.md', 'js', 'history=1'));
  await until('it has heard both', () => logged.length === 2);
  assert.deepEqual(logged, ['1 off from before', '2 on live']);
  await server.restart('--www', folder, '--code', '4711');
  const withCode = await runs(shown('docs/your-own-page.md', 'js', 'history=1'), '#4711');
  await until('it is let in, and hears itself', () => withCode.logged.some((line) => line.endsWith(' on live')));
  assert.deepEqual(page.problems.concat(withCode.page.problems), []);
});

test('an EventSource listens', async () => {
  await serve('');
  const { logged } = await runs(shown('docs/your-own-page.md', 'js', 'EventSource'));
  await until('it listens', async () => await clients('c/lights') === 1);
  await say('lights on', 'c/lights');
  await until('it says so', () => logged.includes('lights on'));
});

test('no page and no script is shown that is not run here', () => {
  assert.deepEqual(BLOCKS.filter(({ run }) => !run).map(({ paper, code }) => `${paper}: ${code.split('\n')[0]}`), []);
});
