/** How the page looks and reads, in each state: pictures for people, axe and measures for the machine. */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { allSent, DESKTOP, isNotConnected, launch, Line, notes, PHONE, refuse, say, Server, shows, visit } from './harness.js';
import { isReadable } from './readable.js';

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const DEVICES = { phone: PHONE, desktop: DESKTOP };

for (const colorScheme of ['light', 'dark']) {
  for (const [device, options] of Object.entries(DEVICES)) {
    test(`is readable in every state: ${device}, ${colorScheme}`, async () => {
      const server = await Server.start('--backlog', '64KiB');
      const settings = { ...options, colorScheme, reducedMotion: 'reduce' };
      const state = (page, name) => isReadable(page, name, `${device}-${colorScheme}`);
      try {
        const early = await visit(browser, 'about:blank', settings, { connected: false });
        await early.routeWebSocket('**', () => { /* opens, and never greets */ });
        await early.goto(server.url);
        await early.waitForFunction(() => document.querySelector('#status').textContent === 'Connecting…');
        await state(early, 'connecting');
        await early.context().close();

        const line = await Line.to(server.port);
        const page = await visit(browser, line.url, settings);
        await state(page, 'empty');

        const other = await visit(browser, server.url);
        await say(other, 'Ship ahoy! Is the 14:30 ferry running?');
        await say(other, 'https://example.org/timetable says yes, but the harbour is all fog.');
        await shows(page, 'Ship ahoy! Is the 14:30 ferry running?');
        await say(page, 'It is. Ten minutes late.');
        await say(page, 'I can hear it from here.');
        await allSent(page);
        await say(other, 'Thanks!');
        await say(other, 'وصلت العبارة إلى الميناء');
        await say(other, `${'A long story of the sea and its fog. '.repeat(60)}The end.`);
        await other.evaluate(async () => {
          const { Foghorn } = await import('./foghorn.js');
          await new Promise((resolve) => {
            const horn = new Foghorn('.', {
              onState: ({ name }) => name === 'open' && horn.send(new Uint8Array(12_345)),
              onMessage: () => resolve(horn.close()),
            });
          });
        });
        await shows(page, 'Binary message, 12.3 kB');
        await other.setInputFiles('#photo', fileURLToPath(new URL('../../www/icon-192.png', import.meta.url)));
        await page.waitForFunction(() => [...document.querySelectorAll('.photo img')].some(({ naturalWidth }) => naturalWidth > 0));
        await say(page, 'See you at the pier, then.');
        await allSent(page);
        await state(page, 'conversation');

        await page.getByText('Ten minutes late').click();
        await state(page, 'copy');
        await page.getByRole('button', { name: 'Settings' }).click();
        await page.getByLabel('Your name').fill('Ann of the lighthouse');
        await state(page, 'settings');
        await page.getByLabel('Your name').fill('');
        await page.getByRole('button', { name: 'Done' }).click();

        await page.fill('#send-input', 'x'.repeat(1_048_577));
        await page.press('#send-input', 'Enter');
        await page.waitForSelector('#error-message:not([hidden])');
        await page.fill('#send-input', '');
        await state(page, 'refused');

        await refuse(server, 'http://laptop.local:5173');
        await refuse(server, `http://${'w'.repeat(63)}.local`, '127.0.0.2');
        await page.click('#invite-open');
        await page.waitForFunction(() => document.querySelector('#invite-code').complete && document.querySelector('#invite-addresses li'));
        await page.locator('#invite-refusals p').first().waitFor();
        await state(page, 'invite');
        await page.keyboard.press('Escape');

        line.cut();
        await isNotConnected(page);
        await say(page, 'Anybody there?');
        await say(page, 'I will try again later.');
        await state(page, 'offline');

        for (let i = 0; i < 20; i += 1) await say(other, `${i} ${'long '.repeat(1_500)}`);
        await say(other, 'Did you get all that?');
        await allSent(other);
        line.mend();
        await allSent(page);
        assert.ok((await notes(page)).some((note) => /\d+ messages were missed/.test(note)));
        await say(page, 'Not all of it, it seems.');
        await allSent(page);
        await state(page, 'missed');

        server.pause();
        await say(page, 'The last one before the fog.');
        await page.waitForSelector('.sending');
        await server.stop('SIGKILL');
        await server.start();
        await page.waitForSelector('.unsure');
        await say(page, 'Back again.');
        await allSent(page);
        assert.deepEqual((await notes(page)).slice(-1), ['The conversation has begun anew']);
        await state(page, 'restarted');
        assert.deepEqual(page.problems, []);
      } finally {
        Line.closeAll();
        await Promise.all(browser.contexts().map((context) => context.close()));
        await server.stop();
      }
    });
  }
}
