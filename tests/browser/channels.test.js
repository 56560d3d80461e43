/** Channels: a page is of the one that its address says, leads to others, and can delete what was said in its own. */

import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import {
  allSent, DESKTOP, isConnected, isNotConnected, launch, Line, newClient, notes, PHONE, RawClient, say, Server, shows, texts,
  until, visit, waitsForEchoes,
} from './harness.js';
import { Proxy } from './proxy.js';

let browser;
let server;
before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => { server = await Server.start(); });
afterEach(async () => {
  RawClient.closeAll();
  Line.closeAll();
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
});

const LONGEST = 'kitchen-temperature_sensor-of-the-second-floor-north-wing-012345';

const heading = (page) => page.getByRole('heading', { level: 1 }).textContent();

/** Opens the dialog of channels. */
async function open(page) {
  await page.getByRole('button', { name: 'Channels' }).click();
  return page.getByRole('dialog', { name: 'Go to another channel' });
}

/** Goes to another channel by the dialog. */
async function go(page, name) {
  const dialog = await open(page);
  await dialog.getByLabel('Name of the channel').fill(name);
  await page.keyboard.press('Enter');
}

/** Goes as far as the last question before messages are deleted. */
async function askToDelete(page) {
  const dialog = await open(page);
  await dialog.getByText('Delete all messages…').click();
  return dialog.getByRole('button', { name: 'Delete for everybody' });
}

const isEmptied = (page) => page.waitForFunction(() => {
  const area = document.querySelector('#received-area');
  return area.textContent === 'The messages were deleted' && document.querySelector('#status').textContent === 'Connected';
});

test('a page is in the channel of its address, in capitals too, and in no other', async () => {
  const main = await visit(browser, server.url);
  const one = await visit(browser, `${server.url}c/Lights`, PHONE);
  const two = await visit(browser, `${server.url}c/lights`);
  const raw = await newClient(server, '/c/lights');
  assert.deepEqual([await heading(main), await main.title()], ['Foghorn', 'Foghorn']);
  for (const page of [one, two]) assert.deepEqual([await heading(page), await page.title()], ['lights', 'lights – Foghorn']);
  await say(main, 'to all in the main channel');
  await say(one, 'on');
  await shows(two, 'on');
  raw.say('off');
  for (const page of [one, two]) {
    await shows(page, 'off');
    assert.deepEqual(await texts(page), ['on', 'off']);
  }
  assert.deepEqual(await texts(main), ['to all in the main channel']);
  for (const page of [main, one, two]) assert.deepEqual(page.problems, []);
});

test('the dialog leads to the channel of the name that is typed, folded and without what a keyboard adds', async () => {
  const page = await visit(browser, server.url, PHONE);
  const dialog = await open(page);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'channels-name', 'ready to type');
  assert.equal(await dialog.getByRole('link').count(), 0, 'no way to where it is');
  await page.keyboard.type(' Living-Room_2 ');
  await page.keyboard.press('Enter');
  await page.waitForURL(`${server.url}c/living-room_2`);
  await isConnected(page);
  assert.equal(await heading(page), 'living-room_2');

  await go(page, LONGEST.toUpperCase());
  await page.waitForURL(`${server.url}c/${LONGEST}`);
  await isConnected(page);
  await (await open(page)).getByRole('link', { name: 'To the main channel' }).click();
  await page.waitForURL(server.url);
  await isConnected(page);
  assert.equal(await heading(page), 'Foghorn');
  assert.deepEqual(page.problems, []);
});

test('what is no name is refused with the rule, and nothing is done to what is typed', async () => {
  const page = await visit(browser, `${server.url}c/lights`, PHONE);
  const dialog = await open(page);
  const field = dialog.getByLabel('Name of the channel');
  for (const text of ['', 'living room', 'küche', 'a/b', 'a.b', `${LONGEST}x`]) {
    await field.fill(text);
    await page.keyboard.press('Enter');
    assert.equal(await field.evaluate((input) => input.validity.valid), false, text);
    assert.equal(await field.inputValue(), text);
    assert.equal(page.url(), `${server.url}c/lights`);
  }
  assert.ok(await dialog.getByText(await field.getAttribute('title')).isVisible(), 'the rule is there for all to see');
  const attributes = await field.evaluate((input) => ['autocapitalize', 'autocorrect', 'spellcheck', 'autocomplete'].map((name) => input.getAttribute(name)));
  assert.deepEqual(attributes, ['off', 'off', 'false', 'off']);

  await page.keyboard.press('Escape');
  assert.equal(await dialog.isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'channels-open', 'the focus is back');
  await open(page);
  assert.equal(await field.inputValue(), '');
  await field.fill('LIGHTS');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'hidden' });
  assert.equal(await page.textContent('#status'), 'Connected', 'who is there stays');
});

test('below the prefix of a proxy, a prefix like a channel\'s too, every way leads to where it should', async (t) => {
  await server.stop();
  server = await Server.start('--allow-host', 'board.localhost');
  for (const prefix of ['/our%20place/hub/', '/c/', '/c/hub/']) {
    const proxy = await Proxy.start({ name: 'board.localhost', prefix, to: server.port });
    t.after(() => proxy.close());
    const page = await visit(browser, proxy.url, { ...PHONE, ignoreHTTPSErrors: true });
    assert.equal(await heading(page), 'Foghorn', prefix);
    await go(page, 'Lights');
    await page.waitForURL(`${proxy.url}c/lights`);
    await isConnected(page);
    const other = await newClient(server, '/c/lights');
    await say(page, 'through the proxy');
    await until('it is there', () => other.received.length === 1);
    await page.waitForFunction(() => document.querySelector('#people').textContent === '2 here');
    await (await askToDelete(page)).click();
    await isEmptied(page);
    await (await open(page)).getByRole('link', { name: 'To the main channel' }).click();
    await page.waitForURL(proxy.url);
    await isConnected(page);
    assert.equal(await heading(page), 'Foghorn');
    assert.deepEqual(proxy.strays, [], 'everything is asked for below the prefix');
    assert.deepEqual(page.problems, []);
    RawClient.closeAll();
  }
});

test('messages are deleted for everybody in the channel, after a question, and the talk goes on', async () => {
  await server.stop();
  server = await Server.start('--history', '9');
  const pages = [await visit(browser, `${server.url}c/lights`, PHONE), await visit(browser, `${server.url}c/lights`)];
  const elsewhere = await visit(browser, server.url);
  await say(elsewhere, 'elsewhere');
  await say(pages[0], 'one');
  await say(pages[1], 'two');
  await allSent(pages[1]);
  for (const page of pages) await shows(page, 'two');

  const button = await askToDelete(pages[0]);
  const dialog = pages[0].getByRole('dialog');
  assert.ok(await dialog.getByText('All that was said in lights is deleted').isVisible());
  await pages[0].keyboard.press('Escape');
  const dialogAgain = await open(pages[0]);
  assert.equal(await button.isVisible(), false, 'the question is put anew');
  await dialogAgain.getByText('Delete all messages…').click();
  assert.equal((await texts(pages[0])).length, 2, 'not yet');
  await button.click();
  for (const page of pages) await isEmptied(page);
  assert.equal(await dialog.isVisible(), false);

  await say(pages[1], 'three');
  for (const page of pages) await shows(page, 'three');
  const late = await visit(browser, `${server.url}c/lights`);
  await shows(late, 'three');
  assert.deepEqual([await texts(late), await notes(late)], [['three'], []]);
  assert.deepEqual([await texts(elsewhere), await notes(elsewhere)], [['elsewhere'], []]);
  for (const page of pages) assert.deepEqual(page.problems, []);
});

test('messages that a program deletes are gone from the page, which stands at its end again', async () => {
  const page = await visit(browser, server.url, PHONE);
  const raw = await newClient(server);
  for (let i = 0; i < 100; i += 1) raw.say(`line ${i}`);
  await shows(page, 'line 99');
  await page.$eval('#received-area', (area) => { area.scrollTop = 0; });
  await page.waitForSelector('#jump:not([hidden])');
  assert.equal((await fetch(server.url, { method: 'DELETE' })).status, 200);
  await isEmptied(page);
  assert.equal(await page.locator('#jump').isVisible(), false);
});

for (const path of ['', 'c/lights']) {
  test(`what did not get through goes out after others were deleted, and what did does not: /${path}`, async () => {
    const line = await Line.to(server.port);
    const page = await visit(browser, line.url + path, PHONE);
    const raw = await newClient(server, `/${path}`);
    await waitsForEchoes(page);
    line.silence('server');
    await say(page, 'got through');
    await until('it is there', () => raw.received.at(-1) === 'got through');
    line.silence();
    await say(page, 'under way');
    await page.waitForSelector('.sending');
    line.cut();
    await isNotConnected(page);
    await say(page, 'typed offline');
    assert.equal((await fetch(server.url + path, { method: 'DELETE' })).status, 200);
    line.mend();
    await isConnected(page);
    await allSent(page);
    await until('it is there', () => raw.received.at(-1) === 'typed offline');
    assert.deepEqual(raw.received, ['got through', 'under way', 'typed offline']);
    assert.deepEqual(await page.$$eval('.text, .note', (all) => all.map((one) => one.textContent)),
      ['got through', 'The conversation has begun anew', 'under way', 'typed offline'], 'nobody told it to forget');
    assert.equal(await page.locator('.own .sent').count(), 3);
  });
}

test('a page that cannot delete says why, and keeps what it shows', async () => {
  const page = await visit(browser, server.url, PHONE);
  await say(page, 'to stay');
  await allSent(page);
  await page.route(server.url, (route) => (route.request().method() === 'DELETE' ? route.fulfill({ status: 403, body: 'no' }) : route.continue()));
  const button = await askToDelete(page);
  await button.click();
  await page.getByRole('alert').filter({ hasText: 'Not deleted: the server answered 403.' }).waitFor();
  await page.unroute(server.url);
  await page.route(server.url, (route) => route.abort());
  await button.click();
  await page.getByRole('alert').filter({ hasText: 'Not deleted: the server cannot be reached.' }).waitFor();
  assert.deepEqual(await texts(page), ['to stay']);
});

test('a page that finds no place says why, and comes in when there is one', async () => {
  await server.stop();
  server = await Server.start('--max-clients', '1');
  await newClient(server);
  const page = await visit(browser, `${server.url}c/lights`, DESKTOP, { connected: false });
  await page.waitForFunction(() => /All places are taken.* Trying again\./.test(document.querySelector('#error-message').textContent));
  await page.waitForFunction(() => /Reconnecting in \d+ s/.test(document.querySelector('#status').textContent));
  RawClient.closeAll();
  await isConnected(page);
  assert.equal(await page.locator('#error-message').isVisible(), false);
});
