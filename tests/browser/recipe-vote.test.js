/** The vote: one tap each, and the same bars on all screens. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESKTOP, Line, newClient, PHONE } from './harness.js';
import { isReadable } from './readable.js';
import { pages, server, start as serveRecipe, visit } from './recipe-stage.js';
import { folderOf, isNotOpen, isOpen, isUnauthorized, post, postGarbage, runCurlLines, stateFolder } from './recipes.js';

const CHANNEL = '/c/vote';
/** In recipes/vote/vote.js. */
const VOTERS_MAX = 20_000;
const LUNCH = JSON.stringify({ question: 'Lunch?', options: ['Pizza', 'Pasta', 'Salad'] });

const start = (...flags) => serveRecipe('vote', ...flags);

const host = () => visit('/host', DESKTOP);
const option = (page, name) => page.locator('#options button', { hasText: name });
const press = (page, name) => page.getByRole('button', { name, exact: true }).click();

/** Shows so many votes for the options. */
const shows = (page, ...votes) => page.waitForFunction(
  (wanted) => [...document.querySelectorAll('.figures')].map(({ textContent }) => parseInt(textContent, 10)).join() === wanted, votes.join());
const allShow = (...votes) => Promise.all(pages.map((page) => shows(page, ...votes)));
const allSay = (words) => Promise.all(pages.map((page) => page.getByText(words, { exact: true }).waitFor()));
const isMine = (page, name) => page.locator('[aria-pressed=true]', { hasText: name }).waitFor();

async function ask(page, question, ...options) {
  if (!(await page.getByLabel('Question').isVisible())) await page.getByText('Ask a question').click();
  await page.getByLabel('Question').fill(question);
  await page.getByLabel('2 to 8 options').fill(options.join('\n'));
  await press(page, 'Ask');
}

test('the host asks, phones vote and change their minds, and all see the bars and the end', async () => {
  await start();
  const screen = await host();
  const [one, two, three] = [await visit(), await visit(), await visit()];
  await allSay('Waiting for a question');
  await ask(screen, 'Lunch?', 'Pizza', '  Pasta  ', '', 'Salad');
  await allSay('Lunch?');
  await allShow(0, 0, 0);
  await option(one, 'Pizza').tap();
  await option(two, 'Pasta').tap();
  await option(three, 'Pizza').tap();
  await allShow(2, 1, 0);
  await isMine(two, 'Pasta');
  await allSay('2 votes, 67%');
  assert.equal(await screen.locator('.bar').first().evaluate((bar) => bar.style.width), '67%');
  await option(two, 'Pizza').tap();
  await allShow(3, 0, 0);
  await option(two, 'Pizza').tap();
  await option(three, 'Salad').press('Enter');
  await allShow(2, 0, 1);
  await isMine(three, 'Salad');
  await press(screen, 'Close the vote');
  await allSay('Pizza wins.');
  await option(three, 'Pizza').tap();
  await post(server, CHANNEL, 'vote late 3');
  await visit();
  await allShow(2, 0, 1);
  await ask(screen, 'And after?', 'Coffee', 'Tea');
  await allSay('And after?');
  await allShow(0, 0);
  await option(one, 'Coffee').tap();
  await option(two, 'Tea').tap();
  await allShow(1, 1);
  await press(screen, 'Close the vote');
  await allSay('A tie: Coffee, Tea');
  await ask(screen, 'Nothing?', 'No', 'Not');
  await allSay('Nothing?');
  await press(screen, 'Close the vote');
  await allSay('Nobody has voted.');
});

test('a question that cannot be asked is not, and the host is told', async () => {
  await start();
  const screen = await host();
  for (const options of [['Only one'], [...'123456789'], ['Good', 'x'.repeat(61)]]) {
    await ask(screen, 'Well?', ...options);
    await screen.getByText('A question has 2 to 8 options').waitFor();
  }
  await ask(screen, 'Well?', ...'12345678');
  await allShow(...Array(8).fill(0));
});

test('phones that vote in the same moment are all counted, and all pages agree', async () => {
  await start();
  await post(server, CHANNEL, LUNCH);
  await host();
  const phones = await Promise.all(Array.from({ length: 5 }, () => visit()));
  await allShow(0, 0, 0);
  await Promise.all(phones.map((phone, i) => option(phone, ['Pizza', 'Pasta'][i % 2]).tap()));
  await allShow(3, 2, 0);
  await Promise.all(phones.map((phone) => option(phone, 'Salad').tap()));
  await allShow(0, 0, 5);
  // Two taps before the first has come back.
  await phones[0].evaluate(() => [0, 1].forEach((i) => document.querySelectorAll('#options button')[i].click()));
  await allShow(0, 1, 4);
  await isMine(phones[0], 'Pasta');
});

test('who comes after 300 voters counts what those count who were there', async () => {
  await start();
  await post(server, CHANNEL, JSON.stringify({ question: 'Old?', options: ['Yes', 'No'] }));
  for (let i = 0; i < 50; i += 1) await post(server, CHANNEL, `vote old${i} 1`);
  await host();
  const number = await post(server, CHANNEL, LUNCH);
  const voters = Array.from({ length: 300 }, (_, i) => i);
  const all = (choice) => Promise.all(voters.map((i) => post(server, CHANNEL, `vote voter-${i}@${number} ${choice(i)}`)));
  await all(() => 3);
  await all((i) => 1 + (i % 3));
  await post(server, CHANNEL, `vote late@${number - 1} 1`);
  await visit();
  await allShow(100, 100, 100);
  await allSay('300 votes');
  await option(pages[1], 'Pizza').tap();
  await allShow(101, 100, 100);
});

test('a phone that is loaded anew, or comes late, has its vote and one only', async () => {
  await start();
  await post(server, CHANNEL, LUNCH);
  const phone = await visit();
  await option(phone, 'Pasta').tap();
  await allShow(0, 1, 0);
  await phone.reload();
  await isMine(phone, 'Pasta');
  const again = await phone.context().newPage();
  again.problems = [];
  pages.push(again);
  await again.goto(server.url);
  await isMine(again, 'Pasta');
  await option(again, 'Salad').tap();
  await visit();
  await allShow(0, 0, 1);
  await isMine(phone, 'Salad');
});

test('a phone whose line is cut says so, and its vote is neither lost nor doubled', async () => {
  await start();
  await post(server, CHANNEL, LUNCH);
  const line = await Line.to(server.port);
  const screen = await host();
  const phone = await visit('/', PHONE, { at: line });
  line.cut();
  await isNotOpen(phone);
  await phone.getByText('Reconnecting…').waitFor();
  await option(phone, 'Pizza').tap();
  await phone.getByText('Reconnecting… Your vote was not sent.').waitFor();
  await post(server, CHANNEL, 'vote desk 2');
  line.mend();
  await isOpen(phone);
  await allShow(0, 1, 0);

  // It goes out, and the line breaks before it is there.
  line.silence('client');
  await option(phone, 'Pizza').tap();
  await isMine(phone, 'Pizza');
  line.cut();
  line.mend();
  await allShow(1, 1, 0);

  // It is lost, and the question is another when the phone is back.
  line.silence();
  await option(phone, 'Salad').tap();
  await ask(screen, 'And after?', 'Coffee', 'Tea', 'Juice');
  await post(server, CHANNEL, 'vote desk 1');
  line.cut();
  line.mend();
  await allShow(1, 0, 0);
  await option(phone, 'Juice').tap();
  await allShow(1, 0, 1);
});

test('a phone that was away for so long that a part is lost shows what a newcomer sees', async () => {
  await start('--channel-backlog', '16KiB');
  const line = await Line.to(server.port);
  const away = await visit('/', PHONE, { at: line });
  await post(server, CHANNEL, LUNCH);
  await post(server, CHANNEL, 'vote desk 1');
  await allShow(1, 0, 0);
  line.cut();
  await isNotOpen(away);
  const votes = async () => {
    for (let i = 0; i < 400; i += 1) await post(server, CHANNEL, `vote voter-${i} 1`);
  };
  await post(server, CHANNEL, JSON.stringify({ question: 'And after?', options: ['Coffee', 'Tea'] }));
  await votes();
  line.mend();
  await host();
  await allSay('Waiting for a question');
});

test('after a restart the vote goes on where it is kept, and begins anew where it is not', async (t) => {
  await start('--state', await stateFolder(t));
  const screen = await host();
  const [one, two] = [await visit(), await visit()];
  await ask(screen, 'Lunch?', 'Pizza', 'Pasta');
  await option(one, 'Pizza').tap();
  await allShow(1, 0);
  await server.stop();
  await Promise.all(pages.map(isNotOpen));
  await server.start();
  await Promise.all(pages.map(isOpen));
  await option(two, 'Pasta').tap();
  await allShow(1, 1);
  await server.restart('--www', folderOf('vote'));
  await allSay('Waiting for a question');
  assert.equal(await screen.getByRole('button', { name: 'Close the vote' }).isVisible(), false);
  await ask(screen, 'Lunch again?', 'Pizza', 'Pasta');
  await allSay('Lunch again?');
  await option(two, 'Pasta').tap();
  await allShow(0, 1);
});

test('a flood of voters has an end', async () => {
  await start();
  const screen = await host();
  const question = await post(server, CHANNEL, LUNCH);
  const flood = await newClient(server, CHANNEL);
  for (let nth = 0; nth <= VOTERS_MAX; nth += 1) flood.say(`vote ${nth}@${question} 1`);
  flood.say('close');
  await screen.getByText('Pizza wins.', { exact: true }).waitFor();
  assert.equal(await screen.textContent('#total'), `${VOTERS_MAX} votes`);
});

test('what is no message of the vote changes nothing', async () => {
  await start();
  await host();
  await visit();
  const evil = '<img src onerror=alert()>';
  await post(server, CHANNEL, JSON.stringify({ question: evil, options: [evil, '\u202eback', 'constructor'] }));
  await post(server, CHANNEL, 'vote __proto__ 3');
  await allShow(0, 0, 1);
  const question = (asked, options) => JSON.stringify({ question: asked, options });
  await postGarbage(
    server, CHANNEL, 'Close', 'close ', 'vote', 'vote x', 'vote x 0', 'vote x 4', 'vote x 9', 'vote x -1', 'vote x 1.5', 'vote x 1e0', 'vote x 1\n', 'vote  1',
    'vote x@ 1', 'vote x@-1 1', `vote x@${'9'.repeat(400)} 1`, 'vote x@0 1', 'vote x@2 1', `vote ${'x'.repeat(17)} 1`, 'vote <b> 1',
    question('', ['a', 'b']), question(' ', ['a', 'b']), question(7, ['a', 'b']), question('Q', 'ab'), question('Q', ['a']), question('Q', [...'123456789']),
    question('Q', ['a', 7]), question('Q', ['a', null]), question('Q', ['a', ' ']), question('Q', { length: 2 }), question('Q'.repeat(201), ['a', 'b']),
    question('Q', ['a', 'b'.repeat(61)]), question(null, null),
  );
  await visit();
  await Promise.all(pages.map((page) => page.getByRole('heading', { name: evil }).waitFor()));
  await allShow(0, 0, 1);
  for (const page of pages) assert.equal(await page.locator('[onerror]').count(), 0, 'text stays text');
});

test('who has the code votes', async () => {
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
  await ask(screen, 'Lunch?', 'Pizza', 'Pasta');
  await out.evaluate(() => { location.hash = '#code=4711'; });
  await option(out, 'Pizza').tap();
  await allShow(1, 0);

  await server.restart('--www', folderOf('vote'), '--send-code', 'blue.whale');
  await out.getByText('This needs the code').waitFor();
  await out.evaluate(() => { location.hash = ''; });
  await out.getByText('You may watch.').waitFor();
  await post(server, CHANNEL, LUNCH, { Authorization: 'Bearer blue.whale' });
  await option(out, 'Pizza').tap();
  await post(server, CHANNEL, 'vote desk 2', { Authorization: 'Bearer blue.whale' });
  await shows(out, 0, 1, 0);
});

test('the lines of the README do what it says', async () => {
  await start();
  await host();
  await visit();
  const answers = await runCurlLines('vote', server);
  assert.deepEqual(answers.map((answer) => JSON.parse(answer).seq), [1, 2, 3]);
  await allShow(0, 1, 0);
  await allSay('The woods wins.');
});

for (const colorScheme of ['light', 'dark']) {
  test(`is readable: ${colorScheme}`, async () => {
    await start();
    const options = ['Pizza', 'A much longer option with Donaudampfschifffahrtsgesellschaft'.slice(0, 60), 'Pasta'];
    for (const [device, settings] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
      const number = await post(server, CHANNEL, JSON.stringify({ question: 'What shall we have for lunch on Friday?', options }));
      const look = { ...settings, colorScheme, reducedMotion: 'reduce' };
      const [phone, screen] = [await visit('/', look), await visit('/host', look)];
      await option(phone, 'Pizza').click();
      for (const [i, choice] of [1, 1, 2, 1, 3].entries()) await post(server, CHANNEL, `vote v${i}@${number} ${choice}`);
      await Promise.all([phone, screen].map((page) => shows(page, 4, 1, 1)));
      await screen.waitForFunction(() => document.querySelector('#qr').naturalWidth > 0);
      await isReadable(phone, 'vote-open', `${device}-${colorScheme}`);
      await isReadable(screen, 'vote-host', `${device}-${colorScheme}`);
      await press(screen, 'Close the vote');
      await Promise.all([phone, screen].map((page) => page.getByText('Pizza wins.').waitFor()));
      await isReadable(phone, 'vote-closed', `${device}-${colorScheme}`);
    }
  });
}
