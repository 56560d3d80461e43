/** Folders that are listed (`--list`): found by their links, sorted, readable on every device. */

import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DESKTOP, launch, PHONE, Server, visit } from './harness.js';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const folder = fileURLToPath(new URL('screenshots/', import.meta.url));
const NAMES = ['File 10', 'file 9', '<b>bold', 'a&amp;b', '?sort=size', '#1', '100%', 'javascript:alert(1)', 'it\'s "quoted"', 'وصلت.txt'];

let browser;
let server;
let www;
before(async () => {
  browser = await launch();
  await mkdir(folder, { recursive: true });
  www = await mkdtemp(`${tmpdir()}/foghorn-listing-`);
  await mkdir(`${www}/sub/deep`, { recursive: true });
  await mkdir(`${www}/empty`);
  for (const [nth, name] of NAMES.entries()) {
    await writeFile(`${www}/sub/${name}`, 'x'.repeat(nth * 1_000));
    await utimes(`${www}/sub/${name}`, 1_764_000_000, 1_764_000_000 - nth);
  }
  await writeFile(`${www}/sub/${'a_long_name_without_a_space_'.repeat(8)}.tar.gz`, '');
  server = await Server.start('--list', '--www', www);
});
after(async () => {
  await browser.close();
  await server.stop();
  await rm(www, { recursive: true });
});

const names = (page) => page.$$eval('tbody td:first-child', (all) => all.map((cell) => cell.textContent));

for (const colorScheme of ['light', 'dark']) {
  for (const [device, options] of Object.entries({ phone: { ...PHONE, viewport: { width: 360, height: 740 } }, desktop: DESKTOP })) {
    test(`a listing is readable: ${device}, ${colorScheme}`, async () => {
      for (const [name, path] of [['root', ''], ['sub', 'sub/'], ['none', 'empty/']]) {
        const page = await visit(browser, server.url + path, { ...options, colorScheme }, { connected: false });
        await page.screenshot({ path: `${folder}listing-${name}-${device}-${colorScheme}.png` });
        await page.evaluate(await readFile(axePath, 'utf8'));
        const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
        assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`), [], name);
        const sideways = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
        assert.ok(sideways <= 0, `${name} scrolls sideways by ${sideways} px`);
        assert.deepEqual(page.problems, []);
        await page.context().close();
      }
    });
  }
}

test('its links lead to every file, up, down and to every order, without a script', async () => {
  const page = await visit(browser, server.url, DESKTOP, { connected: false });
  await page.click('text=sub/');
  assert.equal(page.url(), `${server.url}sub/`);
  assert.deepEqual((await names(page)).slice(0, 2), ['deep/', '#1'], 'folders first, then in the order of names');
  await page.click('text=Size');
  assert.equal((await names(page))[1], NAMES.at(-1), 'the largest first');
  await page.click('text=Changed');
  assert.equal((await names(page))[2], NAMES[0], 'the newest first, but for what was made just now');
  for (const [nth, name] of NAMES.entries()) {
    const link = await page.evaluate((wanted) => [...document.querySelectorAll('td a')].find((a) => a.textContent === wanted).href, name);
    const response = await fetch(link);
    assert.equal((await response.text()).length, nth * 1_000, name);
  }
  await page.click('text=deep/');
  assert.equal(await page.textContent('main > p:last-child'), 'This folder is empty.');
  await page.click('text=Up one folder');
  await page.click('text=Up one folder');
  assert.equal(page.url(), server.url);
  assert.equal(await page.$('text=Up one folder'), null, 'there is nothing above');
  assert.deepEqual(page.problems, []);
  await page.context().close();
});
