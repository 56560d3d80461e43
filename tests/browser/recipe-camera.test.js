/** Camera to the wall: a photo is made small on the phone, and is on the big screen at once. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { launch, Line, PHONE, until, visit } from './harness.js';
import { folderOf, isNotOpen, isOpen, isUnauthorized, open, post, postGarbage, serve } from './recipes.js';

const CHANNEL = '/c/camera';
const SCREEN = { viewport: { width: 1280, height: 720 } };
const BINARY = { 'Content-Type': 'image/jpeg' };
const RED = 'rgb(255, 0, 0)';
const GREEN = 'rgb(0, 255, 0)';
const BLUE = 'rgb(0, 0, 255)';

let browser;
let server;
let painter; // makes photos
before(async () => {
  browser = await launch();
  painter = await (await browser.newContext()).newPage();
});
after(() => browser.close());
beforeEach(async () => { server = await serve('camera'); });
afterEach(async () => {
  Line.closeAll();
  await Promise.all(browser.contexts().filter((context) => context !== painter.context()).map((context) => context.close()));
  await server.stop();
});

const phone = (url = server.url) => open(browser, url, PHONE);
const wall = (url = server.url) => open(browser, `${url}wall`, SCREEN);

/** A photo in this colour; with `noise` it is as hard to make small as a meadow. */
async function photo({ colour = RED, width = 3000, height = 2000, noise = false, type = 'image/jpeg' } = {}) {
  const data = await painter.evaluate((about) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: about.width, height: about.height });
    const context = canvas.getContext('2d');
    context.fillStyle = about.colour;
    context.fillRect(0, 0, about.width, about.height);
    for (let i = 0; about.noise && i < 20_000; i += 1) {
      context.fillStyle = `hsl(${Math.random() * 360}, 80%, 50%)`;
      context.fillRect(Math.random() * about.width, Math.random() * about.height, 30, 30);
    }
    return canvas.toDataURL(about.type, 0.95).split(',')[1];
  }, { colour, width, height, noise, type });
  return Buffer.from(data, 'base64');
}

/** A picture of a few bytes that says to be as large as this. */
function gif(width, height) {
  const bytes = Buffer.from('47494638396100000000800000000000ffffff2c00000000010001000002024401003b', 'hex');
  bytes.writeUInt16LE(width, 6);
  bytes.writeUInt16LE(height, 8);
  return bytes;
}

const choose = (page, buffer, name = 'photo.jpg', mimeType = 'image/jpeg') => page.setInputFiles('#file', { name, mimeType, buffer });

const reports = (page, words) => until(`the phone reports ${words}`, async () => (await page.textContent('#report')).includes(words));
const isOnTheWall = (page) => reports(page, 'It is on the wall.');

/** The colours of what the wall shows, the newest first, and the size of the newest. */
const shown = (screen) => screen.evaluate(() => {
  const photos = [document.querySelector('#newest'), ...document.querySelectorAll('#older img')].filter((image) => !image.hidden);
  if (!photos.every(({ complete, naturalWidth }) => complete && naturalWidth)) return null;
  const colours = photos.map((image) => {
    const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d');
    context.drawImage(image, 0, 0, 1, 1);
    return ['red', 'green', 'blue'][[...context.getImageData(0, 0, 1, 1).data].indexOf(Math.max(...context.getImageData(0, 0, 1, 1).data.slice(0, 3)))];
  });
  return { colours, width: photos.length && photos[0].naturalWidth, height: photos.length && photos[0].naturalHeight };
});

const shows = (screen, ...colours) => until(`the wall shows ${colours}`, async () => String((await shown(screen))?.colours) === String(colours));

test('photos of two phones are on the wall, the newest large', async () => {
  const [screen, one, two] = [await wall(), await phone(), await phone()];
  await choose(one, await photo({ colour: RED, noise: false }));
  await isOnTheWall(one);
  await shows(screen, 'red');
  const { width, height } = await shown(screen);
  assert.deepEqual([width, height], [1600, 1067], 'made smaller on the phone');
  assert.equal(await one.locator('#mine').isVisible(), true);
  await choose(two, await photo({ colour: GREEN, width: 900, height: 1600 }));
  await isOnTheWall(two);
  await shows(screen, 'green', 'red');
  assert.deepEqual(Object.values(await shown(screen)).slice(1), [900, 1600], 'and not larger');
  assert.deepEqual([...screen.problems, ...one.problems, ...two.problems], []);
});

test('a photo that is hard to make small is as small as the channel takes, whatever that is', async () => {
  const meadow = await photo({ noise: true });
  assert.ok(meadow.length > 1_000_000);
  for (const [flags, most] of [[[], 120 * 1024], [['--channel-backlog', '32KiB', '--max-message', '16KiB'], 16 * 1024]]) {
    await server.restart('--www', folderOf('camera'), ...flags);
    const [screen, page] = [await wall(), await phone()];
    await choose(page, meadow);
    await isOnTheWall(page);
    await until('the wall shows it', async () => (await shown(screen))?.width > 100);
    const { byteLength } = await (await fetch(`${server.url}c/camera?last`)).arrayBuffer();
    assert.ok(byteLength <= most, `${byteLength} bytes`);
    assert.deepEqual([...screen.problems, ...page.problems], []);
    await screen.context().close();
  }
  await server.restart('--www', folderOf('camera'), '--max-message', '200');
  const page = await phone();
  await choose(page, meadow);
  await reports(page, 'too large');
});

test('what is no image is told to the sender, and reaches nobody', async () => {
  const page = await phone();
  await choose(page, Buffer.from('<svg onload="alert(1)"'), 'photo.jpg');
  await reports(page, 'not an image');
  await choose(page, Buffer.from('hello'), 'notes.txt', 'text/plain');
  await reports(page, 'not an image');
  await choose(page, await photo({ width: 300, height: 200, type: 'image/png' }));
  await isOnTheWall(page);
  const figures = await (await fetch(`${server.url}c/camera?status`)).json();
  assert.equal(figures.head, 1);
  const start = new Uint8Array(await (await fetch(`${server.url}c/camera?last`)).arrayBuffer()).slice(0, 3);
  assert.deepEqual([...start], [0xff, 0xd8, 0xff], 'a JPEG, whatever it was');
});

test('the lines of the README send a photo and take all off the wall', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'camera-of-a-test-'));
  t.after(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'photo.jpg'), await photo({ colour: BLUE, width: 400, height: 300 }));
  const screen = await wall();
  const [send, wipe] = (await readFile(`${folderOf('camera')}README.md`, 'utf8')).match(/^curl .*$/gm);
  const run = (line) => execFileSync('sh', ['-c', line.replace('board:1920', `127.0.0.1:${server.port}`)], { cwd: folder, stdio: 'pipe' });
  run(send);
  await shows(screen, 'blue');
  run(wipe);
  await shows(screen);
  await post(server, CHANNEL, await photo({ colour: GREEN, width: 400, height: 300 }), BINARY);
  await shows(screen, 'green');
  assert.deepEqual(screen.problems, []);
});

test('a wall that comes later has the last photos, at most 24, and keeps no others', async () => {
  await server.restart('--www', folderOf('camera'), '--channel-backlog', '8MiB');
  const photos = await Promise.all([RED, GREEN, BLUE].map((colour) => photo({ colour, width: 400, height: 300 })));
  for (let i = 0; i < 30; i += 1) await post(server, CHANNEL, photos[i % 3], BINARY);
  const colours = Array.from({ length: 24 }, (_, i) => ['blue', 'green', 'red'][i % 3]);
  const screen = await visit(browser, 'about:blank', SCREEN, { connected: false });
  await screen.addInitScript(() => {
    const { createObjectURL, revokeObjectURL } = URL;
    window.kept = new Set();
    URL.createObjectURL = (blob) => {
      const url = createObjectURL(blob);
      window.kept.add(url);
      return url;
    };
    URL.revokeObjectURL = (url) => {
      window.kept.delete(url);
      revokeObjectURL(url);
    };
  });
  await screen.goto(`${server.url}wall`);
  await shows(screen, ...colours);
  for (let i = 0; i < 9; i += 1) await post(server, CHANNEL, photos[i % 3], BINARY);
  await shows(screen, ...colours);
  const kept = () => screen.evaluate(() => window.kept.size);
  await until('24 are kept', async () => await kept() === 24);
  await fetch(`${server.url}c/camera`, { method: 'DELETE' });
  await until('none is kept', async () => await kept() === 0);
  await shows(screen);
  assert.deepEqual(screen.problems, []);
});

test('garbage is left out, also what begins like a picture, or is far too large a one', async () => {
  const [screen, page] = [await wall(), await phone()];
  await post(server, CHANNEL, await photo({ colour: RED, width: 400, height: 300 }), BINARY);
  await shows(screen, 'red');
  await postGarbage(server, CHANNEL);
  const begin = [[0xff, 0xd8, 0xff], [...Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')], [...Buffer.from('GIF89a')], [...Buffer.from('RIFF1234WEBP')]];
  for (let round = 0; round < 10; round += 1) {
    for (const start of begin) await post(server, CHANNEL, Uint8Array.from([...start, ...Array(500).fill(0)]), BINARY);
  }
  await post(server, CHANNEL, Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), BINARY);
  await post(server, CHANNEL, gif(12_000, 4000), BINARY);
  await post(server, CHANNEL, await photo({ colour: BLUE, width: 400, height: 300, type: 'image/webp' }), BINARY);
  await shows(screen, 'blue', 'red');
  assert.equal(await page.textContent('#report'), '');
  assert.deepEqual([...screen.problems, ...page.problems], []);
});

test('a photo that was taken without a connection goes out once it is back', async () => {
  const line = await Line.to(server.port);
  const [screen, page] = [await wall(), await phone(line.url)];
  line.cut();
  await isNotOpen(page);
  await choose(page, await photo({ colour: GREEN }));
  await reports(page, 'when there is a connection');
  line.mend();
  await isOnTheWall(page);
  await shows(screen, 'green');

  // And so does one that was under way, once.
  const release = line.silence('client');
  await choose(page, await photo({ colour: BLUE }));
  await reports(page, 'Sending');
  line.cut();
  release();
  await isNotOpen(page);
  line.mend();
  await isOnTheWall(page);
  await shows(screen, 'blue', 'green');
  assert.deepEqual(screen.problems, []);
});

test('a server that was restarted has no photos, and neither has the wall', async () => {
  const [screen, page] = [await wall(), await phone()];
  await choose(page, await photo({ colour: RED }));
  await shows(screen, 'red');
  await server.stop();
  await isNotOpen(screen);
  await server.start();
  await isOpen(screen);
  await shows(screen);
  await isOpen(page);
  await choose(page, await photo({ colour: GREEN }));
  await isOnTheWall(page);
  await shows(screen, 'green');
});

test('who has no code cannot send, and is told so', async () => {
  await server.restart('--www', folderOf('camera'), '--send-code', '4711');
  const [screen, unable] = [await wall(), await phone()];
  await choose(unable, await photo());
  await reports(unable, 'needs the code');
  const able = await phone(`${server.url}#4711`);
  await choose(able, await photo({ colour: GREEN }));
  await isOnTheWall(able);
  await shows(screen, 'green');
  await server.restart('--www', folderOf('camera'), '--code', '4711');
  const outside = await open(browser, `${server.url}wall`, SCREEN, { connected: false });
  await isUnauthorized(outside);
  await outside.evaluate(() => { location.hash = '4711'; });
  await isOpen(outside);
  assert.match(await outside.getAttribute('#code', 'src'), /code=4711$/);
});
