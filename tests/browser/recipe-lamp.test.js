/** The lamp: a switch on each phone, and `foghorn listen --exec lamp.sh` that does it. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { binary, launch, Line, PHONE, until } from './harness.js';
import { folderOf, isNotOpen, isOpen, isUnauthorized, open, post, postGarbage, runCurlLines, serve } from './recipes.js';

const CHANNEL = '/c/lamp';

let browser;
let server;
let folder;
let lamps;
before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => {
  lamps = [];
  folder = await mkdtemp(join(tmpdir(), 'lamp-of-a-test-'));
  server = await serve('lamp');
});
afterEach(async () => {
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  lamps.forEach(unplug);
  await server.stop();
  await rm(folder, { recursive: true, force: true });
});

const led = () => join(folder, 'brightness');
const unplug = (lamp) => { if (lamp.exitCode === null) lamp.kill('SIGKILL'); };

/** The command of the README, but for `sudo`, with a file as the kernel has it for an LED. */
async function plugIn(...flags) {
  const readme = await readFile(`${folderOf('lamp')}README.md`, 'utf8');
  const [, words] = /^sudo foghorn listen (.*?) +#/m.exec(readme);
  const [, ...rest] = words.split(' ');
  const lamp = spawn(binary(), ['listen', `127.0.0.1:${server.port}${CHANNEL}`, ...rest, ...flags], {
    cwd: fileURLToPath(new URL('../../', import.meta.url)),
    env: { ...process.env, LED: led() },
    stdio: 'ignore',
  });
  lamps.push(lamp);
  return lamp;
}

const isLit = (wanted) => until(`the lamp is ${wanted}`, async () => await readFile(led(), 'utf8').catch(() => '') === `${wanted}\n`);
const shows = (page, word) => until(`the switch is ${word}`, async () => await page.textContent('#lamp') === word
  && await page.getAttribute('#lamp', 'aria-checked') === String(word === 'on'));
const phone = (url = server.url) => open(browser, url, PHONE);
const press = (page) => page.getByRole('switch', { name: 'Lamp' }).click();

test('a phone switches the lamp, and the other one shows it', async () => {
  await plugIn();
  const [one, two] = [await phone(), await phone()];
  await shows(one, '?');
  for (const [page, word, lit] of [[one, 'on', 1], [two, 'off', 0], [one, 'on', 1]]) {
    await press(page);
    await isLit(lit);
    await shows(one, word);
    await shows(two, word);
  }
  await two.reload();
  await shows(two, 'on');
  assert.deepEqual([...one.problems, ...two.problems], []);
});

test('the lines of the README switch as well', async () => {
  await plugIn();
  const page = await phone();
  assert.equal((await runCurlLines('lamp', server)).length, 1);
  await isLit(1);
  await shows(page, 'on');
  const [, line] = /^(foghorn send .*)$/m.exec(await readFile(`${folderOf('lamp')}README.md`, 'utf8'));
  const [, ...words] = line.replace('board:1920', `127.0.0.1:${server.port}`).split(' ');
  const sender = spawn(binary(), words, { stdio: 'ignore' });
  await until('it has ended', () => sender.exitCode !== null);
  assert.equal(sender.exitCode, 0);
  await isLit(0);
  await shows(page, 'off');
});

test('a lamp that comes back is as it was last told to be', async () => {
  await post(server, CHANNEL, 'off');
  await post(server, CHANNEL, 'on');
  const lamp = await plugIn();
  await isLit(1);
  unplug(lamp);
  await until('it is out', () => lamp.signalCode !== null);
  await post(server, CHANNEL, 'off');
  await writeFile(led(), '1\n');
  await plugIn();
  await isLit(0);
});

test('what a stranger sends is only a word that the lamp does not know', async () => {
  await plugIn();
  const page = await phone();
  await post(server, CHANNEL, 'on');
  await isLit(1);
  const mark = join(folder, 'mark');
  await postGarbage(server, CHANNEL, 'ON', 'off!', 'off on', 'offon', 'on\r', `$(touch ${mark})`, `\`touch ${mark}\``, `'; touch ${mark}; '`,
    `off; touch ${mark}`, `*) touch ${mark};;`, `off\0; touch ${mark}`, 'x\noff');
  await shows(page, 'on');
  // One that comes behind them all, and is known in the shell and the page alike.
  await post(server, CHANNEL, ' \toff \nand more');
  await isLit(0);
  await shows(page, 'off');
  await post(server, CHANNEL, new Uint8Array([111, 110]), { 'Content-Type': 'application/octet-stream' });
  await isLit(1);
  await shows(page, 'on');
  assert.deepEqual(await readdir(folder), ['brightness']);
  const late = await phone();
  await shows(late, 'on');
  assert.deepEqual([...page.problems, ...late.problems], []);
});

test('page and lamp come back when the line was cut, and when the server was restarted', async () => {
  const line = await Line.to(server.port);
  const page = await phone(line.url);
  await plugIn();
  await press(page);
  await isLit(1);
  line.cut();
  await isNotOpen(page);
  assert.equal(await page.isDisabled('#lamp'), true, 'nothing to press');
  await post(server, CHANNEL, 'off');
  line.mend();
  await isOpen(page);
  await shows(page, 'off');
  await server.stop();
  await isNotOpen(page);
  await server.start();
  await isOpen(page);
  await shows(page, '?');
  await press(page);
  await isLit(1);
  assert.deepEqual(page.problems, []);
});

test('who has no code sees the lamp and cannot switch it, or does not even see it', async () => {
  await server.restart('--www', folderOf('lamp'), '--send-code', '4711');
  await plugIn();
  const [able, unable] = [await phone(`${server.url}#4711`), await phone()];
  await press(able);
  await isLit(1);
  await shows(unable, 'on');
  assert.equal(await unable.isDisabled('#lamp'), true);
  assert.match(await unable.textContent('#status'), /needs the code/);
  lamps.forEach(unplug);
  await server.restart('--www', folderOf('lamp'), '--code', '4711');
  const outside = await open(browser, server.url, PHONE, { connected: false });
  await isUnauthorized(outside);
  await plugIn('--code', '4711');
  await outside.evaluate(() => { location.hash = '4711'; });
  await isOpen(outside);
  await press(outside);
  await isLit(1);
});
