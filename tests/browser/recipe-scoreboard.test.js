/** The scoreboard: what one phone writes, all boards show. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESKTOP, Line, PHONE } from './harness.js';
import { isReadable } from './readable.js';
import { pages, server, start as serveRecipe, visit } from './recipe-stage.js';
import { folderOf, isNotOpen, isOpen, isUnauthorized, post, postGarbage, runCurlLines, stateFolder } from './recipes.js';

const CHANNEL = '/c/scoreboard';

const start = (...flags) => serveRecipe('scoreboard', ...flags);

const scores = (page) => page.$$eval('.score, output', (all) => all.map(({ textContent }) => Number(textContent)));
const shows = (page, home, away) => page.waitForFunction(
  (wanted) => [...document.querySelectorAll('.score, output')].map(({ textContent }) => textContent).join() === wanted, `${home},${away}`);
const allShow = (home, away) => Promise.all(pages.map((page) => shows(page, home, away)));
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
const last = async () => JSON.parse(await (await fetch(`${server.url}c/scoreboard?last`)).text());
const score = (home, away) => JSON.stringify({ home: { name: 'Reds', score: home }, away: { name: 'Blues', score: away } });

test('one writes, all show, and the last message is the score', async () => {
  await start();
  const board = await visit('/', DESKTOP);
  const control = await visit('/control');
  await visit('/', PHONE);
  await allShow(0, 0);
  await press(control, 'Home plus 1');
  await press(control, 'Home plus 3');
  await press(control, 'Away plus 2');
  await press(control, 'Away minus 1');
  await allShow(4, 1);
  await control.getByLabel('Name of the home team').fill('Reds');
  await control.getByLabel('Name of the away team').fill('Blues');
  await control.getByLabel('Name of the away team').press('Enter');
  await board.getByText('Reds 4, Blues 1').waitFor({ state: 'attached' });
  const { home, away } = await last();
  assert.deepEqual([home, away], [{ name: 'Reds', score: 4 }, { name: 'Blues', score: 1 }]);

  await press(control, 'Reset to 0 : 0');
  await allShow(0, 0);
  await press(control, 'Undo');
  await allShow(4, 1);
  await press(control, 'Undo');
  await press(control, 'Undo');
  await press(control, 'Undo');
  await allShow(1, 0);
  await press(control, 'Undo');
  await allShow(0, 0);
  assert.equal(await control.getByRole('button', { name: 'Undo' }).isDisabled(), true);
  assert.equal(await control.getByRole('button', { name: 'Home minus 1' }).isDisabled(), true);
});

test('phones that write at the same moment lose no point', async () => {
  await start();
  const controls = await Promise.all(Array.from({ length: 3 }, () => visit('/control')));
  await visit('/', DESKTOP);
  // All in one go, so that each is made from the same score.
  const taps = (page, ...names) => page.evaluate((all) => {
    for (const name of all) document.querySelector(`[aria-label="${name}"]`).click();
  }, names);
  for (let round = 1; round <= 5; round += 1) {
    await Promise.all([
      taps(controls[0], 'Home plus 1', 'Away plus 1'),
      taps(controls[1], 'Home plus 1', 'Away plus 2'),
      taps(controls[2], 'Home plus 1', 'Away plus 3'),
    ]);
    await allShow(3 * round, 6 * round);
  }
  await visit('/', PHONE);
  await allShow(15, 30);
  assert.equal((await last()).home.score, 15);
});

test('of two messages made from the same score the first counts, on pages that come later too', async () => {
  await start();
  await visit('/', DESKTOP);
  const made = (home, version) => JSON.stringify({ ...JSON.parse(score(home, 0)), version, by: 'x' });
  for (const [home, version] of [[1, 1], [2, 1], [3, 2], [9, 1]]) await post(server, CHANNEL, made(home, version));
  await visit('/', PHONE);
  await allShow(3, 0);
  await post(server, CHANNEL, made(4, 999_999));
  await allShow(4, 0);
  await press(await visit('/control'), 'Home plus 1');
  await allShow(5, 0);
  await post(server, CHANNEL, score(7, 7));
  await allShow(7, 7);
});

test('a page that is loaded anew or comes late shows the same', async () => {
  await start();
  const [board, control] = [await visit('/', DESKTOP), await visit('/control')];
  await press(control, 'Home plus 2');
  await allShow(2, 0);
  await Promise.all([board.reload(), control.reload()]);
  await visit('/', PHONE);
  await allShow(2, 0);
  await press(control, 'Away plus 1');
  await allShow(2, 1);
});

test('after a restart the score is there where it is kept, and begins anew where it is not', async (t) => {
  const kept = ['--state', await stateFolder(t)];
  await start(...kept);
  await visit('/', DESKTOP);
  const control = await visit('/control');
  await press(control, 'Home plus 2');
  await allShow(2, 0);
  await server.stop();
  await Promise.all(pages.map(isNotOpen));
  await server.start();
  await Promise.all(pages.map(isOpen));
  await press(control, 'Home plus 1');
  await allShow(3, 0);
  await server.restart('--www', folderOf('scoreboard'));
  await allShow(0, 0);
  assert.equal(await control.getByRole('button', { name: 'Undo' }).isDisabled(), true);
  await press(control, 'Away plus 1');
  await allShow(0, 1);
});

test('a control whose line is cut says so, counts nothing meanwhile, and comes back to the score', async () => {
  await start();
  const line = await Line.to(server.port);
  const board = await visit('/', DESKTOP);
  const control = await visit('/control', PHONE, { at: line });
  await press(control, 'Home plus 1');
  await allShow(1, 0);
  line.cut();
  await isNotOpen(control);
  await control.getByText('Reconnecting…').waitFor();
  await press(control, 'Home plus 1');
  await control.getByText('Reconnecting… That did not count.').waitFor();
  await post(server, CHANNEL, score(5, 5));
  await shows(board, 5, 5);
  line.mend();
  await allShow(5, 5);
  await isOpen(control);
  await press(control, 'Home plus 1');
  await allShow(6, 5);
});

test('a tap that was lost with its connection is sent again, on top of what the others gave', async () => {
  await start();
  const line = await Line.to(server.port);
  const board = await visit('/', DESKTOP);
  const control = await visit('/control', PHONE, { at: line });
  line.silence('client');
  await press(control, 'Home plus 1');
  await press(control, 'Away plus 2');
  await post(server, CHANNEL, score(5, 5));
  await shows(board, 5, 5);
  line.cut();
  line.mend();
  await allShow(6, 7);
});

test('what is no score changes nothing, and hides it from nobody', async () => {
  await start();
  await visit('/', DESKTOP);
  await visit('/control');
  const name = '<img src onerror=alert>';
  await post(server, CHANNEL, JSON.stringify({ home: { name, score: 3 }, away: { name: 'x'.repeat(100_000), score: 1 } }));
  await allShow(3, 1);
  const teams = (home, away) => JSON.stringify({ home, away });
  const good = { name: 'Reds', score: 9 };
  await postGarbage(
    server, CHANNEL, score(-1, 0), score(1.5, 0), score(1000, 0), score('7', 0), score(null, 0), score([7], 0), teams(good), teams(good, null),
    teams(good, { name: 7, score: 1 }), teams(good, { score: 1 }), teams([], []), '{"home":{"name":"Reds","score":1e999},"away":{"name":"","score":0}}',
    ...[-1, 0.5, 1e6, 1e300, '1', null].map((version) => JSON.stringify({ ...JSON.parse(score(9, 9)), version })),
  );
  await visit('/', PHONE);
  await allShow(3, 1);
  await pages[0].getByRole('heading', { name }).waitFor();
  for (const page of pages) assert.equal(await page.locator('[onerror]').count(), 0, 'text stays text');
  await press(pages[1], 'Home plus 1');
  await allShow(4, 1);
});

test('a control that is too late to see the score writes one that counts everywhere', async () => {
  await start();
  const [board, control] = [await visit('/', DESKTOP), await visit('/control')];
  for (let nth = 0; nth < 5; nth += 1) await press(control, 'Home plus 1');
  await allShow(5, 0);
  for (let nth = 0; nth < 101; nth += 1) await post(server, CHANNEL, 'hi');
  const late = await visit('/control');
  await press(late, 'Away plus 2');
  await allShow(0, 2);
});

test('who has the code writes, the others watch', async () => {
  await start('--send-code', 'blue.whale');
  const board = await visit('/', DESKTOP);
  const watching = await visit('/control');
  await watching.getByText('You may watch.').waitFor();
  await press(watching, 'Home plus 1');
  const control = await visit('/control#blue.whale');
  await press(control, 'Home plus 2');
  await allShow(2, 0);
  await watching.evaluate(() => { location.hash = '#blue.whale'; });
  await watching.getByText('You may watch.').waitFor({ state: 'hidden' });
  await isOpen(watching);
  await press(watching, 'Away plus 1');
  await allShow(2, 1);

  await server.restart('--www', folderOf('scoreboard'), '--code', '4711');
  await isUnauthorized(board);
  await board.getByText('This needs the code').waitFor();
  await isUnauthorized(watching);
  await press(watching, 'Home plus 1');
  await watching.getByText('This needs the code, at the end of the address: #CODE. That did not count.').waitFor();
  await board.evaluate(() => { location.hash = '#4711'; });
  await isOpen(board);
});

test('the lines of the README do what it says', async () => {
  await start();
  await visit('/', DESKTOP);
  const [answer, said] = await runCurlLines('scoreboard', server);
  assert.equal(JSON.parse(answer).seq, 1);
  await allShow(2, 1);
  assert.deepEqual(JSON.parse(said), JSON.parse(score(2, 1)));
});

for (const colorScheme of ['light', 'dark']) {
  test(`is readable: ${colorScheme}`, async () => {
    await start();
    await post(server, CHANNEL, JSON.stringify({ home: { name: 'Athletic Ballsportverein 1904', score: 128 }, away: { name: 'Blues', score: 99 } }));
    for (const [device, options] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
      for (const path of ['/', '/control']) {
        const page = await visit(path, { ...options, colorScheme, reducedMotion: 'reduce' });
        await shows(page, 128, 99);
        await isReadable(page, `scoreboard${path.replace('/', '-')}`, `${device}-${colorScheme}`);
      }
    }
  });
}
