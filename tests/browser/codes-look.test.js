/** How the page looks where codes are needed: asking, a wrong one, locked out, for readers, and in the invitation. */

import { after, afterEach, before, test } from 'node:test';
import { DESKTOP, isConnected, launch, PHONE, say, Server, shows, visit } from './harness.js';
import { isReadable } from './readable.js';

/** As long as they may be. */
const CODE = 'Lighthouse-'.repeat(6).slice(0, 64);

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Server.start('--code', `show=${CODE}`, '--send-code', `show=${CODE.toLowerCase()}`);
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser.close();
  await server.stop();
});

for (const colorScheme of ['light', 'dark']) {
  for (const [device, options] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    test(`codes are readable in every state: ${device}, ${colorScheme}`, async () => {
      const settings = { ...options, colorScheme, reducedMotion: 'reduce' };
      const state = (page, name) => isReadable(page, name, `${device}-${colorScheme}`);
      const page = await visit(browser, `${server.url}c/show`, settings, { connected: false });
      await page.getByRole('dialog', { name: 'This channel needs a code.' }).waitFor();
      await state(page, 'code');
      await page.getByRole('button', { name: 'Not now' }).click();
      await state(page, 'code-needed');
      await page.getByRole('button', { name: 'Enter code' }).click();
      await page.getByLabel('Code', { exact: true }).fill(`${CODE}-and-more`);
      await page.keyboard.press('Enter');
      await page.getByRole('dialog', { name: 'This is not the code of this channel.' }).waitFor();
      await state(page, 'code-wrong');

      await page.getByLabel('Code', { exact: true }).fill(CODE);
      await page.keyboard.press('Enter');
      await isConnected(page);
      const sender = await visit(browser, `${server.url}c/show#code=${CODE.toLowerCase()}`, settings);
      await say(sender, 'The curtain rises at eight.');
      await shows(page, 'The curtain rises at eight.');
      await state(page, 'code-reader');
      await page.getByRole('button', { name: 'Enter code' }).click();
      await state(page, 'code-to-send');
      await page.keyboard.press('Escape');
      await page.click('#invite-open');
      await page.waitForFunction(() => document.querySelector('#invite-code').complete && document.querySelector('#invite-code').naturalWidth > 0);
      await state(page, 'code-invite');

      const locked = await visit(browser, 'about:blank', settings, { connected: false });
      await locked.routeWebSocket('**', (socket) => socket.close({ code: 4429, reason: 'Too many wrong codes from your address: wait a minute.' }));
      await locked.goto(`${server.url}c/show#code=1`);
      await locked.getByText('Too many wrong codes').first().waitFor();
      await state(locked, 'code-locked');
    });
  }
}
