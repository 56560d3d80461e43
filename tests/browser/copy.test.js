/** Messages are copied by tap and by keyboard, without a secure context too. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { allSent, LAN_NAME, launch, launchOnLan, newClient, PHONE, RawClient, say, Server, shows, until, visit } from './harness.js';

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
afterEach(() => {
  RawClient.closeAll();
  return Promise.all(browser.contexts().map((context) => context.close()));
});
after(async () => {
  await browser.close();
  await server.stop();
});

test('without TLS, as on a LAN, the text is copied exactly as it is', async (t) => {
  const lan = await launchOnLan();
  t.after(() => lan.close());
  const own = await Server.start('--allow-host', LAN_NAME);
  t.after(() => own.stop());
  const page = await visit(lan, `http://${LAN_NAME}:${own.port}/`, PHONE);
  assert.deepEqual(await page.evaluate(() => [isSecureContext, navigator.clipboard]), [false, undefined]);
  const text = '  <b>one</b>\n\n\tthree   spaces and http://[::1]:1920/ ⚓ ';
  await say(page, text);
  await allSent(page);
  await page.locator('.own .text').click({ position: { x: 5, y: 5 } });
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  await page.focus('#send-input');
  await page.keyboard.press('Control+V');
  assert.equal(await page.inputValue('#send-input'), text);
});

test('a link brings no button, and what people select themselves is copied as ever', async () => {
  const page = await visit(browser, server.url);
  const raw = await newClient(server);
  raw.say('http://127.0.0.1:9/ leads away');
  raw.say('words to be selected');
  await shows(page, 'words to be selected');
  await page.evaluate(() => document.querySelector('#received-area a').addEventListener('click', (event) => event.preventDefault()));
  await page.click('#received-area a');
  assert.equal(await page.locator('.copy').count(), 0);
  await page.getByText('words to be selected').dblclick();
  assert.notEqual(await page.evaluate(() => String(getSelection())), '');
  await page.keyboard.press('Control+C');
  await page.focus('#send-input');
  await page.keyboard.press('Control+V');
  assert.match('words to be selected', new RegExp((await page.inputValue('#send-input')).trim()), 'the own way to copy is left alone');
});

test('a folded text is copied whole, and one that cannot be copied is selected', async () => {
  const page = await visit(browser, server.url, PHONE);
  const long = `${'A long story.\n'.repeat(200)}The end.`;
  await say(page, long);
  await allSent(page);
  await page.locator('.folded').click({ position: { x: 20, y: 20 } });
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.focus('#send-input');
  await page.keyboard.press('Control+V');
  assert.equal(await page.inputValue('#send-input'), long);

  await page.fill('#send-input', '');
  await say(page, 'the last one');
  await allSent(page);
  await page.evaluate(() => { document.execCommand = () => false; });
  await page.getByText('the last one').click();
  await page.getByRole('button', { name: 'Copy' }).click();
  await page.getByRole('alert').filter({ hasText: 'This browser lets no page copy. The text is selected for you.' }).waitFor();
  assert.equal(await page.evaluate(() => String(getSelection())), 'the last one');
});

test('the button for copying comes by the keyboard too, goes from message to message, and is there once', async () => {
  const page = await visit(browser, server.url);
  for (const text of ['one', 'two', 'three']) await say(page, text);
  await allSent(page);
  const beside = () => page.$eval('.copy', (its) => its.parentElement.querySelector('.text').textContent);
  await page.focus('#invite-open');
  await page.keyboard.press('Tab');
  await until('it is at the newest', async () => await beside() === 'three');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'copy');
  for (const [key, text] of [['ArrowUp', 'two'], ['ArrowUp', 'one'], ['ArrowUp', 'one'], ['ArrowDown', 'two']]) {
    await page.keyboard.press(key);
    assert.equal(await beside(), text);
    assert.equal(await page.evaluate(() => document.activeElement.className), 'copy');
  }
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  assert.equal(await page.locator('.copy').count(), 1);
  await page.focus('#send-input');
  await page.keyboard.press('Control+V');
  assert.equal(await page.inputValue('#send-input'), 'two');
});
