/** The invitation: the code and the addresses lead others to where the page was opened. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import jsQR from 'jsqr';
import { allSent, DESKTOP, isConnected, launch, Line, PHONE, refuse, say, Server, shows, visit } from './harness.js';
import { Proxy } from './proxy.js';

let browser;
before(async () => { browser = await launch(); });
afterEach(async () => {
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
});
after(() => browser.close());

/** Opens the invitation, and waits until it is complete. */
async function open(page) {
  const answered = page.waitForResponse((response) => new URL(response.url()).pathname.endsWith('/status'));
  await page.getByRole('button', { name: 'Invite' }).click();
  await page.waitForFunction(() => document.querySelector('#invite-code').naturalWidth > 0);
  await (await answered).finished();
  return page.getByRole('dialog', { name: 'Bring others here' });
}

/** What a phone reads from the code that is shown. */
async function scan(page) {
  const [pixels, size] = await page.evaluate(() => {
    const image = document.querySelector('#invite-code');
    const canvas = Object.assign(document.createElement('canvas'), { width: 480, height: 480 });
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0, 480, 480);
    return [[...context.getImageData(0, 0, 480, 480).data], 480];
  });
  return jsQR(Uint8ClampedArray.from(pixels), size, size)?.data;
}

/** The addresses to type, with what the server says of itself changed by `change`. */
async function addresses(page, change) {
  await page.route('**/status', async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...await response.json(), ...change } });
  });
  const dialog = await open(page);
  // What is added follows the answer by a few steps of the same task: a further answer is only there after them.
  await page.evaluate(() => fetch('/status').then((answer) => answer.json()));
  return dialog.getByRole('listitem').allTextContents();
}

test('the code leads to the page, by the name that it was opened by', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const page = await visit(browser, `http://localhost:${server.port}/`, PHONE);
  await open(page);
  assert.equal(await scan(page), `http://localhost:${server.port}/`);
});

test('in a channel the code, the addresses and what is shared lead to that channel', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const page = await visit(browser, 'about:blank', PHONE, { connected: false });
  await page.addInitScript(() => { navigator.share = async ({ url }) => { globalThis.shared = url; }; });
  await page.goto(`http://localhost:${server.port}/c/Lights`);
  await isConnected(page);
  const lights = `http://localhost:${server.port}/c/lights`;
  const ours = `http://192.168.1.5:${server.port}/`;
  assert.deepEqual(await addresses(page, { address: ours }), [lights, `${ours}c/lights`]);
  assert.equal(await scan(page), lights);
  assert.equal(await page.getAttribute('#invite-code', 'alt'), `QR code of ${lights}`);
  await page.getByRole('button', { name: 'Share…' }).click();
  assert.equal(await page.evaluate(() => globalThis.shared), lights);
  assert.deepEqual(page.problems, []);
});

test('behind a proxy with TLS and a prefix everything is there, and the code leads there', async (t) => {
  const server = await Server.start('--allow-host', 'board.localhost');
  t.after(() => server.stop());
  const proxy = await Proxy.start({ name: 'board.localhost', prefix: '/our%20place/hub/', to: server.port });
  t.after(() => proxy.close());
  const settings = { ignoreHTTPSErrors: true };
  const page = await visit(browser, proxy.url, { ...PHONE, ...settings });
  const other = await visit(browser, proxy.url, { ...DESKTOP, ...settings });
  await say(page, 'through the proxy');
  await allSent(page);
  await shows(other, 'through the proxy');

  const dialog = await open(page);
  assert.equal(await scan(page), proxy.url);
  assert.equal(await page.getAttribute('#invite-code', 'alt'), `QR code of ${proxy.url}`);
  await page.evaluate(() => fetch('status').then((answer) => answer.json()));
  assert.deepEqual(await dialog.getByRole('listitem').allTextContents(), [proxy.url], 'no address around the proxy');
  assert.deepEqual(proxy.strays, [], 'everything is asked for below the prefix');
  assert.deepEqual([...page.problems, ...other.problems], []);
});

test('the number of the machine is told beside its name, but not what leads elsewhere', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const shown = async (change) => {
    const page = await visit(browser, `http://localhost:${server.port}/`);
    const [first, ...others] = await addresses(page, change);
    assert.equal(first, `http://localhost:${server.port}/`);
    await page.context().close();
    return others;
  };
  const ours = `http://192.168.1.5:${server.port}/`;
  assert.deepEqual(await shown({ address: ours }), [ours]);
  assert.deepEqual(await shown({ address: `http://127.0.0.1:${server.port}/` }), [], 'no phone gets there');
  assert.deepEqual(await shown({ address: 'http://192.168.1.5:1/' }), [], 'somebody stands between');
  assert.deepEqual(await shown({ address: null }), []);
});

test('a device that was refused is told of, with what lets it in', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const page = await visit(browser, server.url, PHONE);
  let dialog = await open(page);
  assert.equal(await page.locator('#invite-refusals').isVisible(), false, 'nobody was refused');
  await page.keyboard.press('Escape');

  for (let i = 0; i < 2; i += 1) await refuse(server, 'http://laptop.local:5173');
  await refuse(server, 'https://call-us-now.example.com', '127.0.0.2');
  dialog = await open(page);
  await dialog.locator('code').waitFor();
  assert.deepEqual(await page.locator('#invite-refusals p').allTextContents(), [
    'A device was refused just now: it came from elsewhere. /status says from where.',
    'A device was refused 2 times, last just now: it came from http://laptop.local:5173, which --allow-origin can let in.',
  ]);
  assert.deepEqual(await dialog.locator('code').allTextContents(), ['http://laptop.local:5173']);
  assert.deepEqual(page.problems, []);
});

test('only the last few refusals are told of, in the server’s words and as text', async (t) => {
  const server = await Server.start();
  t.after(() => server.stop());
  const told = async (refusals) => {
    const page = await visit(browser, server.url, PHONE);
    await addresses(page, { refusals });
    const lines = await page.locator('#invite-refusals p').allTextContents();
    assert.equal(await page.locator('#invite-refusals b, #invite-refusals a').count(), 0);
    await page.context().close();
    return lines;
  };
  const refusal = { secondsAgo: 61, times: 1, status: 426, why: 'The server speaks version 13.' };
  assert.deepEqual(await told([refusal]), ['A device was refused 1 min ago: it was told “The server speaks version 13.”']);
  assert.deepEqual(await told([{ ...refusal, status: 403, header: 'Host', secondsAgo: 599 }]), [
    'A device was refused 9 min ago: it used a name that the server does not go by. --allow-host can add it; /status has it.',
  ]);
  assert.equal((await told(Array(8).fill(refusal))).length, 3);
  assert.deepEqual(await told([{ ...refusal, secondsAgo: 600 }]), []);
  const [line] = await told([{ ...refusal, header: 'Origin', value: '<b>bold</b> https://example.org/', isLocal: true }]);
  assert.ok(line.includes('<b>bold</b> https://example.org/'), line);
});
