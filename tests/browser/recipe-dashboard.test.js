/** The dashboard: what sensors post is on every phone, with its age, for as long as the hour lasts. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { DESKTOP, launch, Line, PHONE, until, visit } from './harness.js';
import { folderOf, isNotOpen, isOpen, isUnauthorized, open, post, postGarbage, runCurlLines, serve } from './recipes.js';

const CHANNEL = '/c/dashboard';

let browser;
let server;
before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => { server = await serve('dashboard'); });
afterEach(async () => {
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
});

const say = (text) => post(server, CHANNEL, text);

/** What the tiles show: `name value unit`. */
const tiles = (page) => page.$$eval('#sensors li', (all) => all.map((tile) => ['h2', '.value span', 'small']
  .map((part) => tile.querySelector(part).textContent).join(' ').trim()));

const shows = (page, wanted) => until(`the tiles are ${wanted}`, async () => String(await tiles(page)) === String(wanted));

/** The age of this sensor, in seconds. */
const ageOf = (page, name) => page.$$eval('#sensors li', (all, wanted) => {
  const tile = all.find(({ title }) => title === wanted);
  return tile ? parseInt(tile.querySelector('.age').textContent, 10) : NaN;
}, name);

/** How many pixels of the plot are in the colour of a line, and neither grey nor nothing. */
const inked = (page) => page.evaluate(() => {
  const canvas = document.querySelector('#plot canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) {
    if (data[i + 3] > 100 && Math.max(data[i], data[i + 1], data[i + 2]) - Math.min(data[i], data[i + 1], data[i + 2]) > 100) count += 1;
  }
  return count;
});

/** This device's clock is wrong by so much. */
const clockOff = (page, ms) => page.addInitScript((off) => {
  const { now } = Date;
  Date.now = () => now() + off;
}, ms);

const blank = (options) => visit(browser, 'about:blank', options, { connected: false });

test('what the README posts is on two phones, the second one comes later', async () => {
  const one = await open(browser, server.url, PHONE);
  assert.deepEqual(await tiles(one), []);
  await one.locator('#hint').waitFor();
  assert.ok((await one.textContent('#hint')).includes(`curl -d 'temperature 21.5 °C' ${server.url}c/dashboard`));
  assert.equal((await runCurlLines('dashboard', server)).length, 2);
  const wanted = ['humidity 40 %', 'temperature 21.5 °C'];
  await shows(one, wanted);
  const two = await open(browser, server.url, PHONE);
  await shows(two, wanted);
  await one.reload();
  await shows(one, wanted);
  assert.equal(await one.locator('#hint').isVisible(), false);
  assert.deepEqual([...one.problems, ...two.problems], []);
});

test('this machine is a sensor with what the README starts', async (t) => {
  const page = await open(browser, server.url, PHONE);
  const [line] = /^sh .*sensor\.sh.*$/m.exec(await readFile(`${folderOf('dashboard')}README.md`, 'utf8'));
  const sensor = spawn('sh', ['-c', line.replace('board:1920', new URL(server.url).host)], { cwd: new URL('../../', import.meta.url), stdio: 'ignore', detached: true });
  t.after(() => process.kill(-sensor.pid));
  await until('the load is there', async () => (await tiles(page)).some((tile) => /^\S+-load \d+(\.\d+)?$/.test(tile)));
  assert.deepEqual(page.problems, []);
});

test('ages are those of the server, on a phone whose clock is days ahead or behind too', async () => {
  await say('door 1');
  await new Promise((resolve) => setTimeout(resolve, 3000)); // its age is what is looked at
  for (const days of [0, 3, -3]) {
    const page = await blank(PHONE);
    await clockOff(page, days * 86_400_000);
    await page.goto(server.url);
    await until('the door is there', async () => await ageOf(page, 'door') >= 0);
    const age = await ageOf(page, 'door');
    assert.ok(age >= 2 && age < 30, `${days} days: ${age} s`);
    await until('it grows', async () => await ageOf(page, 'door') > age);
    await say('window 0');
    await until('what is live is new', async () => await ageOf(page, 'window') <= 2);
    await page.context().close();
  }
});

test('a sensor that is silent is marked, then leaves a gap, and is forgotten after the hour', async () => {
  await say('door 1');
  const page = await blank(PHONE);
  await page.addInitScript(() => {
    const { now } = Date;
    window.later = 0;
    Date.now = () => now() + window.later;
  });
  await page.goto(server.url);
  await shows(page, ['door 1']);
  assert.equal(await page.locator('.stale').count(), 0);
  await page.evaluate(() => { window.later = 90_000; });
  await page.locator('.stale').waitFor();
  assert.match(await page.locator('.stale .age').textContent(), /^silent for \d+ s$/);
  await page.evaluate(() => { window.later = 600_000; });
  await until('its minutes are told', async () => /^silent for 10 min$/.test(await page.textContent('.age')));
  await page.evaluate(() => { window.later = 3_700_000; });
  await shows(page, []);
});

test('the plot has a line for each sensor', async () => {
  const page = await blank(DESKTOP);
  await page.addInitScript(() => {
    const { parse } = JSON;
    let older = 600;
    // The readings are of the last ten minutes.
    JSON.parse = (text) => {
      const message = parse(text);
      if (message.at) message.at -= older -= 30;
      return message;
    };
  });
  await page.goto(server.url);
  await isOpen(page);
  const before = await inked(page);
  for (let i = 0; i < 20; i += 1) await say(`temperature ${20 + i} °C`);
  await until('a line is drawn', async () => await inked(page) > before + 50);
  assert.match(await page.getAttribute('#sensors path', 'd'), /L/, 'the tile has a line, too');
  assert.deepEqual(page.problems, []);
});

test('what was posted while the line was cut is there once it is back', async () => {
  const line = await Line.to(server.port);
  const page = await open(browser, line.url, PHONE);
  await say('door 1');
  await shows(page, ['door 1']);
  line.cut();
  await isNotOpen(page);
  await say('door 2');
  await say('window 7');
  const asked = page.waitForRequest((request) => request.url().includes('after='));
  line.mend();
  await asked;
  await isOpen(page);
  await shows(page, ['door 2', 'window 7']);
  assert.deepEqual(page.problems, []);
});

test('a server that begins anew, and one whose messages are deleted, empties the page', async () => {
  const page = await open(browser, server.url, PHONE);
  await say('door 1');
  await shows(page, ['door 1']);
  await fetch(`${server.url}c/dashboard`, { method: 'DELETE' });
  await shows(page, []);
  await say('door 2');
  await shows(page, ['door 2']);
  await server.stop();
  await isNotOpen(page);
  await server.start();
  await say('window 3');
  await shows(page, ['window 3']);
  assert.deepEqual(page.problems, []);
});

test('what is no reading is not shown, and text stays text', async () => {
  const page = await open(browser, server.url, PHONE);
  await postGarbage(server, CHANNEL, 'door open', 'door 1e999', 'door NaN', 'door 0x10', 'door 1 two words', '{"door":1}', 'n'.repeat(41) + ' 1',
    `door${' '.repeat(400_000)}${'!'.repeat(13)}`, `door ${'9'.repeat(400_000)}`, 'door 1\n'.repeat(1000).replace(/1/g, '-'), '__proto__');
  await say('<img/src=x/onerror=document.title=1> 1 <b>V</b>\n__proto__ 2\nconstructor -.5 x');
  await shows(page, ['<img/src=x/onerror=document.title=1> 1 <b>V</b>', '__proto__ 2', 'constructor -0.5 x']);
  await say('largest 999999999999\nsmallest -999999999999\ntiny 0.000000000000001');
  await until('all are there', async () => (await tiles(page)).length === 6);
  await until('ages go on', async () => await ageOf(page, 'largest') >= 2);
  assert.equal(await page.title(), 'Dashboard');
  assert.equal(await page.locator('#sensors img, #sensors b').count(), 0);
  assert.deepEqual(page.problems, []);
});

test('the page stays awake in a flood of names and values, and has no more than 50', async () => {
  const page = await open(browser, server.url, PHONE);
  for (let round = 0; round < 50; round += 1) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => say(Array.from({ length: 20 }, (__, j) => `sensor-${i * 20 + j} ${round}`).join('\n'))));
  }
  await say('sensor-0 1000');
  await until('the last value is there', async () => (await tiles(page)).includes('sensor-0 1000'));
  assert.equal((await tiles(page)).length, 50);
  const frameMs = await page.evaluate(() => new Promise((resolve) => {
    const start = performance.now();
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
  }));
  assert.ok(frameMs < 2000, `${frameMs} ms for two frames`);
  assert.deepEqual(page.problems, []);
});

test('a code is taken from the address, and a wrong one is not tried again', async () => {
  await server.restart('--www', folderOf('dashboard'), '--code', '4711');
  await post(server, `${CHANNEL}?code=4711`, 'door 1');
  const right = await open(browser, `${server.url}#4711`, PHONE);
  await shows(right, ['door 1']);
  const wrong = await blank(PHONE);
  let asked = 0;
  wrong.on('request', (request) => { asked += request.url().includes('as=json'); });
  await wrong.goto(`${server.url}#4712`);
  await isUnauthorized(wrong);
  assert.match(await wrong.textContent('#status'), /needs the code/);
  await new Promise((resolve) => setTimeout(resolve, 3000)); // longer than it waits for the next try
  assert.equal(asked, 1);
  const reloaded = wrong.waitForEvent('load');
  await wrong.evaluate(() => { location.hash = '#code=4711'; });
  await reloaded;
  await shows(wrong, ['door 1']);
});
