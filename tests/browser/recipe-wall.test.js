/** The wall: what phones send is on the big screen at once, and its QR code brings more phones. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import jsQR from 'jsqr';
import { launch, Line, PHONE, until, visit } from './harness.js';
import { folderOf, isNotOpen, isOpen, isUnauthorized, open, post, postGarbage, runCurlLines, serve } from './recipes.js';

const CHANNEL = '/c/wall';
const SCREEN = { viewport: { width: 1920, height: 1080 } };

let browser;
let server;
before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => { server = await serve('wall'); });
afterEach(async () => {
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
});

const phone = (url = server.url) => open(browser, url, PHONE);
const wall = (url = server.url) => open(browser, `${url}wall`, SCREEN);

async function write(page, text, name = '') {
  await page.getByLabel('Your name').fill(name);
  await page.getByLabel('Your words').fill(text);
  await page.getByRole('button', { name: 'To the wall' }).click();
}

const newestIs = (screen, text) => until(`the wall shows ${text}`, async () => await screen.textContent('#newest') === text);
const older = (screen) => screen.$$eval('#older li', (all) => all.map((line) => line.textContent));
const said = (page) => page.$$eval('#said li', (all) => all.map((line) => line.textContent));
const isSaid = (page, text) => until(`the phone shows ${text}`, async () => (await said(page))[0] === text);

/** What a phone reads from the wall, as it is on the screen. */
async function scan(screen) {
  await screen.waitForFunction(() => document.querySelector('#code').naturalWidth > 0);
  const shot = `data:image/png;base64,${(await screen.locator('#code').screenshot()).toString('base64')}`;
  const { pixels, width, height } = await screen.evaluate(async (source) => {
    const image = Object.assign(new Image(), { src: source });
    await image.decode();
    const size = { width: image.width, height: image.height };
    const context = Object.assign(document.createElement('canvas'), size).getContext('2d');
    context.drawImage(image, 0, 0);
    return { pixels: [...context.getImageData(0, 0, image.width, image.height).data], ...size };
  }, shot);
  return jsQR(Uint8ClampedArray.from(pixels), width, height)?.data;
}

test('what two phones write is on the wall, the newest large', async () => {
  const screen = await wall();
  const [ann, ben] = [await phone(), await phone()];
  await write(ann, 'hello', 'Ann');
  await newestIs(screen, 'Annhello');
  assert.equal(await screen.textContent('#newest b'), 'Ann');
  await write(ben, 'good evening 🎉');
  await newestIs(screen, 'good evening 🎉');
  assert.deepEqual(await older(screen), ['Annhello']);
  for (const page of [ann, ben]) {
    await isSaid(page, 'good evening 🎉');
    assert.deepEqual(await said(page), ['good evening 🎉', 'Ann: hello']);
  }
  assert.equal(await ben.inputValue('#text'), '');
  assert.deepEqual([...screen.problems, ...ann.problems, ...ben.problems], []);
});

test('the lines of the README send to the wall, and wipe it and the phones', async () => {
  const [screen, page] = [await wall(), await phone()];
  await post(server, CHANNEL, 'before');
  await newestIs(screen, 'before');
  assert.equal((await runCurlLines('wall', server)).length, 2, 'one that sends, one that wipes');
  await newestIs(screen, 'What do you want to see here?');
  await until('the phone is empty', async () => (await said(page)).length === 0);
  await post(server, CHANNEL, 'after');
  await newestIs(screen, 'after');
  assert.deepEqual(await older(screen), []);
  assert.deepEqual([...screen.problems, ...page.problems], []);
});

test('a wall that comes later has the last messages, and a reload changes nothing', async () => {
  for (let i = 1; i <= 20; i += 1) await post(server, CHANNEL, `message ${i}`);
  const screen = await wall();
  const wanted = Array.from({ length: 12 }, (_, i) => `message ${19 - i}`);
  for (let visits = 0; visits < 2; visits += 1) {
    await newestIs(screen, 'message 20');
    assert.deepEqual(await older(screen), wanted);
    await screen.reload();
  }
});

test('a cut line is mended by itself, and the words of a phone are not lost', async () => {
  const line = await Line.to(server.port);
  const [screen, page] = [await wall(line.url), await phone(line.url)];
  line.cut();
  await isNotOpen(page);
  await write(page, 'in the tunnel');
  assert.match(await page.textContent('#problem'), /no connection/);
  assert.equal(await page.inputValue('#text'), 'in the tunnel');
  await post(server, CHANNEL, 'meanwhile');
  line.mend();
  await newestIs(screen, 'meanwhile');
  await isOpen(page);
  await page.getByRole('button', { name: 'To the wall' }).click();
  await newestIs(screen, 'in the tunnel');
});

test('what was under way when the line broke is in the field again', async () => {
  const line = await Line.to(server.port);
  const page = await phone(line.url);
  const release = line.silence('client');
  await write(page, 'under way', 'Ann');
  line.cut();
  release();
  await isNotOpen(page);
  assert.equal(await page.inputValue('#text'), '');
  line.mend();
  await isOpen(page);
  assert.match(await page.textContent('#problem'), /has not reached the wall/);
  assert.equal(await page.inputValue('#text'), 'under way');
  await page.getByRole('button', { name: 'To the wall' }).click();
  await isSaid(page, 'Ann: under way');
  assert.equal((await said(page)).length, 1);
});

test('a server that was restarted begins anew, and the wall with it', async () => {
  const [screen, page] = [await wall(), await phone()];
  await write(page, 'before');
  await newestIs(screen, 'before');
  await server.stop();
  await isNotOpen(screen);
  await server.start();
  await isOpen(screen);
  await newestIs(screen, 'What do you want to see here?');
  await isOpen(page);
  await write(page, 'after');
  await newestIs(screen, 'after');
  assert.deepEqual(await said(page), ['after']);
});

test('long texts fit, and texts from right to left begin at the right', async () => {
  const screen = await wall();
  const fits = () => screen.$eval('#newest', (box) => box.scrollHeight <= box.clientHeight && box.scrollWidth <= box.clientWidth);
  const size = () => screen.$eval('#newest', (box) => parseFloat(box.style.fontSize));
  await post(server, CHANNEL, 'Hi');
  await newestIs(screen, 'Hi');
  const large = await size();
  for (const text of ['a word '.repeat(40).trim(), 'W'.repeat(280), '漢'.repeat(280)]) {
    await post(server, CHANNEL, text);
    await newestIs(screen, text);
    assert.ok(await fits(), text);
    assert.ok(await size() < large);
  }
  await post(server, CHANNEL, 'line\n'.repeat(5000));
  await until('it is cut', async () => (await screen.textContent('#newest')).endsWith('…'));
  await post(server, CHANNEL, 'مرحبا بالجميع');
  await newestIs(screen, 'مرحبا بالجميع');
  assert.equal(await screen.$eval('#newest', (box) => getComputedStyle(box).direction), 'rtl');
});

test('garbage and a flood break nothing, and text stays text', async () => {
  const [screen, page] = [await wall(), await phone()];
  await postGarbage(server, CHANNEL);
  const evil = '<img src=x onerror="document.title=1">';
  await post(server, CHANNEL, `${evil}: ${evil}`);
  await post(server, CHANNEL, `Ann: ${evil}`);
  await newestIs(screen, `Ann${evil}`);
  for (let round = 0; round < 50; round += 1) {
    await Promise.all(Array.from({ length: 20 }, (_, i) => post(server, CHANNEL, `flood ${round} ${i}`)));
  }
  await write(page, 'the last one');
  await newestIs(screen, 'the last one');
  assert.equal((await older(screen)).length, 12);
  assert.equal((await said(page)).length, 5);
  assert.deepEqual([await screen.title(), await screen.locator('img').count(), await page.locator('img').count()], ['Wall', 1, 0]);
  assert.deepEqual([...screen.problems, ...page.problems], []);
});

test('the QR code leads a phone here, with the code that the wall has', async () => {
  await server.restart('--www', folderOf('wall'), '--send-code', '4711');
  const base = `http://board.localhost:${server.port}/`;
  const screen = await open(browser, `${base}wall#4711`, SCREEN);
  const address = await scan(screen);
  assert.equal(address, `${base}#code=4711`);
  assert.equal(await screen.textContent('#address'), new URL(base).host);
  const page = await phone(address);
  await write(page, 'it works');
  await newestIs(screen, 'it works');

  const other = await phone(base);
  await isSaid(other, 'it works');
  await write(other, 'let me');
  assert.match(await other.textContent('#problem'), /needs the code/);
  assert.equal(await other.inputValue('#text'), 'let me');
  assert.deepEqual([...screen.problems, ...page.problems, ...other.problems], []);
});

test('the QR code has the number of the board where there is one, and on localhost there is none', async () => {
  const screen = await visit(browser, 'about:blank', SCREEN, { connected: false });
  const told = `http://192.168.1.5:${server.port}/`;
  await screen.route(/\/c\/wall\?status/, async (route) => {
    const figures = await (await fetch(`${server.url}c/wall?status`)).json();
    await route.fulfill({ json: { ...figures, address: told } });
  });
  const asked = screen.waitForRequest((request) => request.url().startsWith(`${told}qr.svg`));
  await screen.route(`${told}**`, (route) => route.abort());
  await screen.goto(`http://board.localhost:${server.port}/wall`);
  await asked;
  assert.equal(await screen.textContent('#address'), new URL(told).host);

  const local = await wall(`http://localhost:${server.port}/`);
  await until('it says so', async () => /phones cannot find localhost/.test(await local.textContent('#address')));
  assert.equal(await local.locator('#code').isVisible(), false);
});

test('without the code nothing is shown, and with it all is', async () => {
  await server.restart('--www', folderOf('wall'), '--code', '4711');
  await post(server, `${CHANNEL}?code=4711`, 'members only');
  const screen = await open(browser, `${server.url}wall#4712`, SCREEN, { connected: false });
  await isUnauthorized(screen);
  assert.match(await screen.textContent('#status'), /code/);
  await screen.evaluate(() => { location.hash = '4711'; });
  await newestIs(screen, 'members only');
});
