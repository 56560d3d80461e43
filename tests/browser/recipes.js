/** What the tests of the recipes stand on: a recipe that is served as its README says, its pages, and what anybody may send. */

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Server, visit } from './harness.js';

export const folderOf = (name) => fileURLToPath(new URL(`../../recipes/${name}/`, import.meta.url));

export const serve = (name, ...flags) => Server.start('--www', folderOf(name), ...flags);

/** A folder for `--state`, as long as this test. */
export async function stateFolder(test) {
  const folder = await mkdtemp(join(tmpdir(), 'foghorn-recipe-'));
  test.after(() => rm(folder, { recursive: true, force: true, maxRetries: 10 }));
  return folder;
}

/** Opens a page of a recipe on a device of its own. It may ask for nothing that is not there, and for nothing elsewhere. */
export async function open(browser, url, device, { connected = true } = {}) {
  const page = await visit(browser, 'about:blank', device, { connected: false });
  const { origin } = new URL(url);
  page.on('request', (request) => {
    if (!/^data:/.test(request.url()) && new URL(request.url()).origin !== origin) page.problems.push(`asks for ${request.url()}`);
  });
  page.on('response', (response) => {
    if (response.status() >= 400) page.problems.push(`${response.status()} for ${response.url()}`);
  });
  await page.goto(url);
  if (connected) await isOpen(page);
  return page;
}

const hasState = (wanted) => (page) => page.waitForFunction((state) => document.body.dataset.state === state, wanted);
export const isOpen = hasState('open');
export const isUnauthorized = hasState('unauthorized');
export const isNotOpen = (page) => page.waitForFunction(() => document.body.dataset.state !== 'open');

/** Posts a message as a program would; returns its number. */
export async function post(server, channel, body, headers = {}) {
  const response = await fetch(new URL(channel, server.url), { method: 'POST', body, headers });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  return (await response.json()).seq;
}

const EVIL = '<img src=x onerror="document.title=1">';

/** What no recipe understands. */
const GARBAGE = [
  '', ' ', '\0', '\r\n', 'null', 'true', '0', '-1', '1e999', '[]', '{}', '[[', '{"', '"text"', EVIL, JSON.stringify(EVIL),
  'x'.repeat(200_000), '['.repeat(50_000), '{"__proto__":{"score":1}}', 'undefined', 'NaN', '\u202e\u0000', '🌫'.repeat(100),
];

/** Sends all of it, this too, and some that is not text. */
export async function postGarbage(server, channel, ...more) {
  for (const text of [...GARBAGE, ...more]) await post(server, channel, text);
  for (const bytes of [[], [0], [255, 254], [123, 125]]) {
    await post(server, channel, Uint8Array.from(bytes), { 'Content-Type': 'application/octet-stream' });
  }
}

/** Runs the `curl` lines of a recipe's README in this server, one by one; returns what each has printed. */
export async function runCurlLines(name, server) {
  const readme = await readFile(`${folderOf(name)}README.md`, 'utf8');
  const blocks = [...readme.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block]) => block);
  const lines = blocks.join('').split('\n').filter((line) => line.startsWith('curl'));
  const outputs = [];
  for (const line of lines) {
    const { stdout } = await promisify(execFile)('sh', ['-c', line.replace(/\bboard:1920\b/, `127.0.0.1:${server.port}`)]);
    outputs.push(stdout);
  }
  return outputs;
}
