/** How channels look: a long name, the dialog, the question before all messages are deleted, and what is seen then. */

import { after, afterEach, before, test } from 'node:test';
import { allSent, DESKTOP, isConnected, launch, PHONE, say, Server, visit } from './harness.js';
import { isReadable } from './readable.js';

const LONGEST = 'long-name_'.repeat(7).slice(0, 64);

let browser;
let server;
before(async () => {
  browser = await launch();
  server = await Server.start();
});
afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));
after(async () => {
  await browser.close();
  await server.stop();
});

for (const colorScheme of ['light', 'dark']) {
  for (const [device, options] of Object.entries({ phone: PHONE, desktop: DESKTOP })) {
    test(`channels are readable in every state: ${device}, ${colorScheme}`, async () => {
      const settings = { ...options, colorScheme, reducedMotion: 'reduce' };
      const state = (page, name) => isReadable(page, name, `${device}-${colorScheme}`);
      const main = await visit(browser, server.url, settings);
      await main.click('#channels-open');
      await state(main, 'channels');
      const page = await visit(browser, `${server.url}c/${LONGEST}`, settings);
      await say(page, 'on');
      await allSent(page);
      await state(page, 'channel');
      await page.click('#channels-open');
      await page.click('summary');
      await state(page, 'channels-delete');
      await page.click('#channels-button');
      await page.getByText('The messages were deleted').waitFor();
      await isConnected(page);
      await state(page, 'channels-deleted');
    });
  }
}
