/** The buzzer: who was first, on all screens the same. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESKTOP, Line, newClient, PHONE } from './harness.js';
import { isReadable } from './readable.js';
import { pages, server, start as serveRecipe, visit } from './recipe-stage.js';
import { folderOf, isNotOpen, isOpen, isUnauthorized, post, postGarbage, runCurlLines, stateFolder } from './recipes.js';

const CHANNEL = '/c/buzzer';
/** In recipes/buzzer/buzzer.js. */
const BUZZES_MAX = 1000;

const start = (...flags) => serveRecipe('buzzer', ...flags);

async function player(name, at = server) {
  const page = await visit('/', PHONE, { at });
  await page.getByLabel('Your name').fill(name);
  await page.getByRole('button', { name: 'Play' }).click();
  return page;
}

const host = () => visit('/host', DESKTOP);
const names = (page) => page.$$eval('#list bdi', (all) => all.map(({ textContent }) => textContent));
const shows = (page, ...wanted) => page.waitForFunction(
  (all) => [...document.querySelectorAll('#list bdi')].map(({ textContent }) => textContent).join() === all, wanted.join());
const allShow = (...wanted) => Promise.all(pages.map((page) => shows(page, ...wanted)));
const buzzer = (page, words) => page.locator('#buzz', { hasText: new RegExp(`^${words}$`) });
const touch = (page) => page.locator('#buzz').dispatchEvent('pointerdown');
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();
/** All messages so far. */
async function messages() {
  const { head } = await (await fetch(`${server.url}c/buzzer?status`)).json();
  return (await (await fetch(`${server.url}c/buzzer?as=lines&history=${head}&count=${head}`)).text()).split('\n');
}

test('all see who was first, second and third, and the host begins the next round', async () => {
  await start();
  const screen = await host();
  const [anna, ben, cem, dora] = [await player('Anna'), await player('Ben'), await player('Cem'), await player('Dora')];
  await buzzer(ben, 'Buzz!').tap();
  await allShow('Ben');
  await buzzer(anna, 'Buzz!').tap();
  await allShow('Ben', 'Anna');
  await touch(cem);
  await allShow('Ben', 'Anna', 'Cem');
  await buzzer(dora, 'Buzz!').click();
  await allShow('Ben', 'Anna', 'Cem', 'Dora');
  await Promise.all([buzzer(ben, 'First!'), buzzer(anna, 'Second'), buzzer(cem, 'Third'), buzzer(dora, 'Number 4')].map((one) => one.waitFor()));
  await touch(ben);
  await press(screen, 'New round');
  await allShow();
  await buzzer(cem, 'Buzz!').tap();
  await allShow('Cem');
  await press(screen, 'Stop');
  await buzzer(anna, 'Wait').waitFor();
  await touch(anna);
  await post(server, CHANNEL, 'buzz late Late');
  await host();
  await allShow('Cem');
  await press(screen, 'New round');
  await buzzer(anna, 'Buzz!').tap();
  await allShow('Anna');
});

test('phones that buzz in the same moment agree on one order', async () => {
  await start();
  const screen = await host();
  const players = await Promise.all(['Anna', 'Ben', 'Cem', 'Dora', 'Ege'].map((name) => player(name)));
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(players.map(touch));
    await screen.waitForFunction(() => document.querySelectorAll('#list li').length === 5);
    const order = await names(screen);
    assert.equal(new Set(order).size, 5);
    await allShow(...order);
    await press(screen, 'New round');
    await allShow();
  }
});

test('keys and a screen reader buzz, once each, and what is typed does not', async () => {
  await start();
  const anna = await player('Anna');
  await anna.keyboard.press('Space');
  await shows(anna, 'Anna');
  await post(server, CHANNEL, 'round');
  await allShow();
  await anna.locator('#buzz').evaluate((button) => button.click());
  await shows(anna, 'Anna');
  await press(anna, 'You are Anna. Change the name');
  await post(server, CHANNEL, 'round');
  await allShow();
  await anna.getByLabel('Your name').fill('');
  await anna.getByLabel('Your name').pressSequentially('Anna B');
  await anna.keyboard.press('Enter');
  await anna.keyboard.press('Enter');
  await shows(anna, 'Anna B');
  assert.deepEqual((await messages()).filter((line) => line.startsWith('buzz')).length, 3);
});

test('two players of one name are two', async () => {
  await start();
  const [one, other] = [await player('Anna'), await player('Anna')];
  await buzzer(other, 'Buzz!').tap();
  await allShow('Anna');
  await buzzer(one, 'Buzz!').tap();
  await allShow('Anna', 'Anna');
  await buzzer(one, 'Second').waitFor();
  await buzzer(other, 'First!').waitFor();
  await post(server, CHANNEL, 'buzz table4 Lions');
  await post(server, CHANNEL, 'buzz table5 Tigers');
  await post(server, CHANNEL, 'buzz table4 The Lions');
  await allShow('Anna', 'Anna', 'The Lions', 'Tigers');
});

test('a phone that was away for so long that a part is lost shows what a newcomer sees', async () => {
  await start('--channel-backlog', '16KiB');
  const line = await Line.to(server.port);
  const away = await player('Anna', line);
  await post(server, CHANNEL, 'buzz ben Ben');
  await allShow('Ben');
  line.cut();
  await isNotOpen(away);
  await post(server, CHANNEL, 'round');
  for (let i = 0; i < 400; i += 1) await post(server, CHANNEL, 'not a word of the game');
  await post(server, CHANNEL, 'buzz cem Cem');
  line.mend();
  // Whether somebody was before Cem in this round, they cannot know.
  const screen = await host();
  await allShow();
  await press(screen, 'New round');
  await post(server, CHANNEL, 'buzz cem Cem');
  await allShow('Cem');
});

test('a phone that is loaded anew, or comes late, knows its place, and cannot buzz again', async () => {
  await start();
  const [anna, ben] = [await player('Anna'), await player('Ben')];
  await buzzer(anna, 'Buzz!').tap();
  await allShow('Anna');
  await anna.reload();
  await buzzer(anna, 'First!').waitFor();
  await touch(anna);
  await host();
  await player('Cem');
  await allShow('Anna');
  await buzzer(ben, 'Buzz!').tap();
  await allShow('Anna', 'Ben');
  assert.equal((await messages()).filter((line) => line.includes('Anna')).length, 1);
  await anna.reload();
  await isOpen(anna);
  await post(server, CHANNEL, 'round');
  await allShow();
  await touch(anna);
  await allShow('Anna');
});

test('a buzz that comes after the next round has begun is none of that round', async () => {
  await start();
  const screen = await host();
  const [anna, ben] = [await player('Anna'), await player('Ben')];
  await post(server, CHANNEL, 'round');
  const round = await post(server, CHANNEL, 'round');
  await post(server, CHANNEL, `buzz late@${round - 1} Late`);
  await post(server, CHANNEL, `buzz soon@${round + 1} Soon`);
  await post(server, CHANNEL, `buzz good@${round} Good`);
  await post(server, CHANNEL, 'buzz any Any');
  await allShow('Good', 'Any');
  await Promise.all([touch(anna), touch(ben), press(screen, 'New round')]);
  const wanted = await post(server, CHANNEL, 'round');
  await allShow();
  await buzzer(anna, 'Buzz!').tap();
  await allShow('Anna');
  assert.match((await messages()).filter((line) => line.endsWith('Anna')).at(-1), new RegExp(`@${wanted} `));
});

test('a phone whose line is cut says so, and its buzz is neither lost nor doubled', async () => {
  await start();
  const line = await Line.to(server.port);
  const screen = await host();
  const anna = await player('Anna', line);
  line.cut();
  await isNotOpen(anna);
  await anna.getByText('Reconnecting…').waitFor();
  await touch(anna);
  await anna.getByText('Reconnecting… That did not count.').waitFor();
  line.mend();
  await isOpen(anna);
  assert.deepEqual(await names(anna), []);

  // It goes out, and the line breaks before it is there.
  line.silence('client');
  await touch(anna);
  await buzzer(anna, '…').waitFor();
  await post(server, CHANNEL, 'buzz ben Ben');
  line.cut();
  line.mend();
  await allShow('Ben', 'Anna');

  // It is there, and the line breaks before it comes back.
  await press(screen, 'New round');
  await allShow();
  line.silence('server');
  await touch(anna);
  await shows(screen, 'Anna');
  line.cut();
  line.mend();
  await buzzer(anna, 'First!').waitFor();

  // It is lost, and the round is another when the phone is back.
  await press(screen, 'New round');
  await allShow();
  line.silence();
  await touch(anna);
  await press(screen, 'New round');
  await post(server, CHANNEL, 'buzz ben Ben');
  line.cut();
  line.mend();
  await allShow('Ben');
  await buzzer(anna, 'Buzz!').waitFor();
  assert.deepEqual(await names(screen), ['Ben']);
});

test('after a restart the round goes on where it is kept, and begins anew where it is not', async (t) => {
  await start('--state', await stateFolder(t));
  const screen = await host();
  const [anna, ben] = [await player('Anna'), await player('Ben')];
  await press(screen, 'New round');
  await buzzer(anna, 'Buzz!').tap();
  await allShow('Anna');
  await server.stop();
  await Promise.all(pages.map(isNotOpen));
  await server.start();
  await Promise.all(pages.map(isOpen));
  await buzzer(ben, 'Buzz!').tap();
  await allShow('Anna', 'Ben');
  await server.restart('--www', folderOf('buzzer'));
  await allShow();
  await buzzer(ben, 'Buzz!').tap();
  await allShow('Ben');
  await fetch(`${server.url}c/buzzer`, { method: 'DELETE' });
  await allShow();
  await buzzer(ben, 'Buzz!').tap();
  await allShow('Ben');
});

test('a phone that is too late to see which round it is waits for the next', async () => {
  await start();
  const screen = await host();
  await press(screen, 'New round');
  for (let nth = 0; nth < 3; nth += 1) await post(server, CHANNEL, 'x'.repeat(500_000));
  const late = await player('Late');
  await buzzer(late, 'Wait').waitFor();
  await press(screen, 'New round');
  await buzzer(late, 'Buzz!').tap();
  await allShow('Late');
});

test('a flood of players has an end', async () => {
  await start();
  const anna = await player('Anna');
  const ID = await anna.evaluate(() => localStorage.buzzerId);
  const flood = await newClient(server, CHANNEL);
  for (let nth = 0; nth < BUZZES_MAX; nth += 1) flood.say(`buzz ${nth} Flood`);
  flood.say(`buzz ${ID} Anna`);
  flood.say('stop');
  // Else she would be told her number.
  await buzzer(anna, 'Wait').waitFor();
});

test('what is no message of the game changes nothing', async () => {
  await start();
  const screen = await host();
  await player('Anna');
  await postGarbage(
    server, CHANNEL, 'Round', 'round ', 'rounds', 'stop it', 'buzz', 'buzz ', 'buzz x', 'buzz x ', 'buzz  x', 'buzz x  y', 'buzz x@ y', 'buzz x@-1 y', 'buzz x@1e3 y',
    `buzz x@${'9'.repeat(400)} y`, 'buzz x@999999999999999 y', `buzz ${'x'.repeat(17)} y`, `buzz x ${'y'.repeat(21)}`, 'buzz x y\nz', 'buzz <b> y', ' buzz x y',
  );
  const name = '<img src onerror=x>';
  await post(server, CHANNEL, `buzz __proto__ ${name}`);
  await post(server, CHANNEL, 'buzz arabic سالم');
  await player('Ben');
  await allShow(name, 'سالم');
  for (const page of pages) assert.equal(await page.locator('[onerror]').count(), 0, 'text stays text');
  for (let i = 0; i < 30; i += 1) await post(server, CHANNEL, `buzz id${i} Player ${i}`);
  await screen.waitForFunction(() => document.querySelectorAll('#list li').length === 20);
});

test('who has the code plays', async () => {
  await start('--code', '4711');
  const out = await visit('/', PHONE, { connected: false });
  await isUnauthorized(out);
  await out.getByText('This needs the code').waitFor();
  const screen = await visit('/host', DESKTOP, { connected: false });
  await isUnauthorized(screen);
  await screen.evaluate(() => { location.hash = '#4711'; });
  await isOpen(screen);
  await screen.waitForFunction(() => document.querySelector('#qr').naturalWidth > 0);
  assert.match(await screen.locator('#qr').getAttribute('src'), /code=4711$/);
  await out.evaluate(() => { location.hash = '#code=4711'; });
  await isOpen(out);
  await out.getByLabel('Your name').fill('Anna');
  await out.keyboard.press('Enter');
  await buzzer(out, 'Buzz!').tap();
  await allShow('Anna');

  await server.restart('--www', folderOf('buzzer'), '--send-code', 'blue.whale');
  await out.getByText('This needs the code').waitFor();
  await out.evaluate(() => { location.hash = ''; });
  await out.getByText('You may watch.').waitFor();
  await touch(out);
  await post(server, CHANNEL, 'buzz ben Ben', { Authorization: 'Bearer blue.whale' });
  await shows(out, 'Ben');
});

test('the lines of the README do what it says', async () => {
  await start();
  await post(server, CHANNEL, 'buzz old Old');
  const screen = await host();
  const answers = await runCurlLines('buzzer', server);
  assert.deepEqual(answers.map((answer) => JSON.parse(answer).seq), [2, 3, 4]);
  await allShow('The Lions');
  assert.equal(await screen.getByRole('button', { name: 'Stop' }).isDisabled(), true);
});

for (const colorScheme of ['light', 'dark']) {
  test(`is readable: ${colorScheme}`, async () => {
    await start();
    for (const [device, options] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
      await post(server, CHANNEL, 'round');
      const page = await visit('/', { ...options, colorScheme, reducedMotion: 'reduce' });
      await isReadable(page, 'buzzer-name', `${device}-${colorScheme}`);
      await page.getByLabel('Your name').fill('Anna');
      await page.keyboard.press('Enter');
      await isReadable(page, 'buzzer-ready', `${device}-${colorScheme}`);
      await buzzer(page, 'Buzz!').click();
      await shows(page, 'Anna');
      for (const name of ['Ben', 'Wolfeschlegelsteinha', 'Dora']) await post(server, CHANNEL, `buzz ${name.slice(0, 3)} ${name}`);
      await shows(page, 'Anna', 'Ben', 'Wolfeschlegelsteinha', 'Dora');
      await isReadable(page, 'buzzer-first', `${device}-${colorScheme}`);
      const screen = await visit('/host', { ...options, colorScheme, reducedMotion: 'reduce' });
      await screen.waitForFunction(() => document.querySelector('#qr').naturalWidth > 0);
      await isReadable(screen, 'buzzer-host', `${device}-${colorScheme}`);
    }
  });
}
