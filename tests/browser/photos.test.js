/** Photos: scaled before they are sent, shown by what they are, and as sure to come, once, as a text. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { WebSocket } from 'ws';
import {
  allSent, DESKTOP, isConnected, isNotConnected, launch, Line, newClient, PHONE, RawClient, say, Server, shows, texts, until, visit,
} from './harness.js';

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Server.start('--backlog', '16MiB');
});
afterEach(async () => {
  RawClient.closeAll();
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
});
after(async () => {
  await browser.close();
  await server.stop();
});

/** What a camera gives: many pixels, and noise, which does not compress. */
async function picture(type = 'image/jpeg', [width, height] = [4000, 3000], seed = 1) {
  const page = await (await browser.newContext()).newPage();
  const base64 = await page.evaluate(async (about) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: about.width, height: about.height });
    const pen = canvas.getContext('2d');
    let chance = about.seed;
    for (let i = 0; i < 4_000; i += 1) {
      chance = (chance * 16_807) % 2_147_483_647;
      pen.fillStyle = `hsl(${chance % 360} 60% 50%)`;
      pen.fillRect(chance % about.width, (chance >> 8) % about.height, about.width / 40, about.height / 40);
    }
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, about.type, 0.95));
    const reader = new FileReader();
    await new Promise((resolve) => { reader.onload = resolve; reader.readAsDataURL(blob); });
    return reader.result.split(',')[1];
  }, { type, width, height, seed });
  await page.context().close();
  return Buffer.from(base64, 'base64');
}

const choose = (page, buffer, name = 'photo.jpg', mimeType = 'image/jpeg') =>
  page.setInputFiles('#photo', { name, mimeType, buffer });

const hasPhotos = (page, count) => page.waitForFunction((n) => {
  const all = [...document.querySelectorAll('.photo img')];
  return all.length === n && all.every((one) => one.naturalWidth > 0);
}, count);

/** Of the photos: their sides, and what is said in their place. */
const photos = (page) => page.$$eval('.photo img', (all) => all.map(({ naturalWidth: width, naturalHeight: height, alt }) => ({ width, height, alt })));

/** The bytes of binary messages, as a client without a page gets them. */
async function listening({ port }) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
  const got = [];
  socket.on('message', (data, isBinary) => isBinary && got.push(data));
  await new Promise((resolve) => socket.once('open', resolve));
  return { got, close: () => socket.terminate() };
}

test('a large photo arrives scaled on the other phone, opens large, and has alt text', async () => {
  const [one, other] = [await visit(browser, server.url, PHONE), await visit(browser, server.url, PHONE)];
  const wire = await listening(server);
  const [chooser] = await Promise.all([one.waitForEvent('filechooser'), one.getByRole('button', { name: 'Photo' }).click()]);
  await chooser.setFiles({ name: 'photo.png', mimeType: 'image/png', buffer: await picture('image/png') });
  for (const page of [one, other]) {
    await hasPhotos(page, 1);
    const [{ width, height, alt }] = await photos(page);
    assert.ok(width <= 1600 && width >= 800, `${width}`);
    assert.ok(Math.abs(width / height - 4 / 3) < 0.01, `${width}x${height}`);
    assert.match(alt, /^Photo, \d+\.\d kB$/);
    assert.deepEqual(page.problems, []);
  }
  await allSent(one);
  assert.equal(wire.got.length, 1);
  assert.ok(wire.got[0].length <= 262_144, `${wire.got[0].length} bytes`);
  assert.equal(wire.got[0].subarray(0, 3).toString('hex'), 'ffd8ff');
  wire.close();
  const [large] = await Promise.all([other.context().waitForEvent('page'), other.click('.photo')]);
  await large.waitForFunction(() => document.images[0]?.naturalWidth > 0);
  assert.match(large.url(), /^blob:/);
});

test('a photo is scaled below what the server takes, and where nothing fits that is said', async (t) => {
  const small = await Server.start('--max-message', '64KiB', '--backlog', '1MiB');
  t.after(() => small.stop());
  const [one, other] = [await visit(browser, small.url, PHONE), await visit(browser, small.url)];
  const wire = await listening(small);
  await choose(one, await picture());
  await hasPhotos(other, 1);
  assert.ok(wire.got[0].length <= 65_536, `${wire.got[0].length} bytes`);
  assert.ok((await photos(other))[0].width > 300);
  await small.restart('--max-message', '1KiB', '--backlog', '1MiB');
  await one.waitForFunction(() => document.querySelector('#received-area .note'));
  await choose(one, await picture());
  await one.getByRole('alert').filter({ hasText: 'too few bytes at once for a photo' }).waitFor();
  assert.equal(await one.getAttribute('#photo-open', 'aria-busy'), null);
  wire.close();
});

test('where it was taken, and what can be seen through, is not sent along', async () => {
  const page = await visit(browser, server.url, PHONE);
  const wire = await listening(server);
  const jpeg = await picture('image/jpeg', [400, 300]);
  const place = Buffer.from('Exif\0\0GPS 54.32 N 10.13 E');
  const segment = Buffer.concat([Buffer.from([0xff, 0xe1, 0, place.length + 2]), place]);
  await choose(page, Buffer.concat([jpeg.subarray(0, 2), segment, jpeg.subarray(2)]));
  await hasPhotos(page, 1);
  await until('it is sent', () => wire.got.length === 1);
  assert.ok(!wire.got[0].includes('GPS'));
  assert.deepEqual((await photos(page)).map(({ width, height }) => [width, height]), [[400, 300]], 'not made larger');
  wire.close();
});

test('what is no picture is refused by name, and the next one goes', async () => {
  const page = await visit(browser, server.url, PHONE);
  await choose(page, Buffer.from('ftypheic and so on'), '<b>IMG_1.heic</b>', 'image/heic');
  await page.getByRole('alert').filter({ hasText: 'This browser cannot read <b>IMG_1.heic</b>; JPEG and PNG work.' }).waitFor();
  assert.equal(await page.locator('.message').count(), 0);
  await choose(page, await picture());
  await hasPhotos(page, 1);
  assert.equal(await page.locator('#error-message').isVisible(), false);
});

test('chosen while offline it waits, and comes once', async () => {
  const line = await Line.to(server.port);
  const page = await visit(browser, line.url, PHONE);
  const other = await visit(browser, server.url);
  const wire = await listening(server);
  line.cut();
  await isNotConnected(page);
  await choose(page, await picture());
  await hasPhotos(page, 1);
  await say(page, 'and a word');
  await page.waitForSelector('.waiting');
  line.mend();
  await allSent(page);
  await hasPhotos(other, 1);
  await shows(other, 'and a word');
  assert.equal(wire.got.length, 1);
  assert.equal(await page.locator('.photo').count(), 1);
  assert.equal(await page.locator('.own').count(), 2);
  wire.close();
});

test('one under way when the line breaks is sent again if it did not get through, and not if it did', async () => {
  const line = await Line.to(server.port);
  const page = await visit(browser, line.url, PHONE);
  const wire = await listening(server);
  for (const [side, seed] of [['client', 2], ['server', 3]]) {
    const before = wire.got.length;
    const buffer = await picture('image/jpeg', [1000, 800], seed);
    line.silence(side);
    await choose(page, buffer);
    await page.waitForSelector('.sending');
    if (side === 'server') await until('the server has it', () => wire.got.length === before + 1);
    line.cut();
    await isNotConnected(page);
    line.mend();
    await allSent(page);
    await until('it is there', () => wire.got.length === before + 1);
  }
  await say(page, 'the end');
  await allSent(page);
  assert.equal(wire.got.length, 2);
  assert.equal(await page.locator('.own .photo').count(), 2);
  wire.close();
});

test('of which nobody knows whether it got through it is asked, and it goes again by the button', async (t) => {
  const own = await Server.start();
  t.after(() => own.stop());
  const page = await visit(browser, own.url, PHONE);
  await choose(page, await picture());
  await hasPhotos(page, 1);
  await allSent(page);
  own.pause();
  await choose(page, await picture('image/jpeg', [800, 600], 5));
  await page.waitForSelector('.sending');
  await own.stop('SIGKILL');
  await own.start();
  await page.waitForSelector('.unsure');
  const wire = await listening(own);
  await page.getByRole('button', { name: 'Send again' }).click();
  await allSent(page);
  await hasPhotos(page, 2);
  await until('it is there', () => wire.got.length === 1);
  assert.equal(await page.locator('.unsure').count(), 0);
  wire.close();
});

test('only what begins as a picture is shown as one, and what cannot be shown is told', async () => {
  const page = await visit(browser, server.url, PHONE);
  const raw = await newClient(server);
  const scripts = ['<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', '<!doctype html><script>alert(1)</script>', ''];
  for (const text of scripts) raw.say(Buffer.from(text));
  await until('all came', async () => (await texts(page)).length === scripts.length);
  assert.deepEqual(await texts(page), scripts.map(({ length }) => `Binary message, ${length} bytes`));
  assert.equal(await page.locator('#received-area img').count(), 0);

  const garbage = [[0xff, 0xd8, 0xff], [...Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')], [...Buffer.from('GIF89a')], [...Buffer.from('RIFFxxxxWEBP')]]
    .map((start) => Buffer.concat([Buffer.from(start), Buffer.from('<svg onload=alert(1)><script>alert(1)</script>'), Buffer.alloc(1_000)]));
  for (const bytes of garbage) raw.say(bytes);
  await until('all came', async () => (await texts(page)).length === scripts.length + garbage.length);
  assert.equal(await page.locator('#received-area img').count(), 0);
  assert.deepEqual((await texts(page)).slice(-4), garbage.map(({ length }) => `Binary message, ${length} bytes`));
  for (const type of ['image/png', 'image/webp', 'image/jpeg']) raw.say(await picture(type, [60, 40]));
  await hasPhotos(page, 3);
  assert.deepEqual(page.problems, []);
});

test('what comes does not move the reader, not even a photo that cannot be shown', async () => {
  const page = await visit(browser, server.url, PHONE);
  const raw = await newClient(server);
  const bytes = await picture('image/jpeg', [900, 1600]);
  for (let i = 0; i < 10; i += 1) {
    raw.say(`before ${i}`);
    raw.say(bytes);
    raw.say(Buffer.concat([bytes.subarray(0, 300), Buffer.from([i])]));
  }
  raw.say('the newest');
  await shows(page, 'the newest');
  await page.waitForFunction(() => [...document.querySelectorAll('.photo img')].every(({ complete }) => complete));
  const end = () => page.$eval('#received-area', (area) => area.scrollHeight - area.scrollTop - area.clientHeight);
  assert.ok(await end() < 2, 'at the end when all have loaded');
  await page.$eval('#received-area', (area) => { area.scrollTop = 1_000; });
  await page.waitForSelector('#jump:not([hidden])');
  const top = () => page.$eval('#received-area', (area) => {
    const line = [...area.children].find((one) => one.getBoundingClientRect().bottom > area.getBoundingClientRect().top);
    return [[...area.children].indexOf(line), Math.round(line.getBoundingClientRect().top)];
  });
  const place = await top();
  for (let i = 0; i < 5; i += 1) {
    raw.say(bytes);
    raw.say(Buffer.concat([bytes.subarray(0, 300), Buffer.from([i])]));
  }
  raw.say('the very newest');
  await shows(page, 'the very newest');
  await hasPhotos(page, 15);
  assert.deepEqual(await top(), place);
});

test('many photos stay within bounds, and those that go are freed', async () => {
  const page = await visit(browser, 'about:blank', DESKTOP, { connected: false });
  await page.addInitScript(() => {
    globalThis.urls = new Set();
    const { createObjectURL, revokeObjectURL } = URL;
    URL.createObjectURL = (blob) => {
      const url = createObjectURL.call(URL, blob);
      globalThis.urls.add(url);
      return url;
    };
    URL.revokeObjectURL = (url) => {
      globalThis.urls.delete(url);
      revokeObjectURL.call(URL, url);
    };
  });
  await page.goto(server.url);
  await isConnected(page);
  const raw = await newClient(server);
  const bytes = await picture('image/jpeg', [300, 200]);
  const large = Buffer.concat([bytes, Buffer.alloc(900_000)]);
  for (let i = 0; i < 30; i += 1) raw.say(large);
  raw.say('the last');
  await shows(page, 'the last');
  const count = await page.locator('.photo').count();
  assert.ok(count >= 16 && count <= 19, `${count} photos of 900 kB`);
  assert.equal(await page.evaluate(() => globalThis.urls.size), count);
  await page.click('#channels-open');
  await page.click('summary');
  await page.click('#channels-button');
  await page.getByText('The messages were deleted').waitFor();
  await until('all are freed', () => page.evaluate(() => globalThis.urls.size === 0));
});

test('who may only listen has no button for photos', async (t) => {
  const own = await Server.start('--send-code', '4711');
  t.after(() => own.stop());
  const page = await visit(browser, own.url, PHONE);
  await page.locator('#code-reason').getByText('You can read here.').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Photo' }).count(), 0);
  await page.getByRole('button', { name: 'Settings' }).click();
  assert.equal(await page.getByLabel('Your name').isVisible(), false);
  assert.equal(await page.getByLabel('Keep the screen on').isVisible(), true);
});
