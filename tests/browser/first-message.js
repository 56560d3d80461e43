/** Two phones open the page, and what one says, the other shows. scripts/first-message has them do so on a machine just set up.
 *  `node first-message.js http://raspberrypi.local:1920` */

import { chromium } from 'playwright-core';
import { CHROMIUM, CHROMIUM_FLAGS, PHONE, say, shows, visit } from './harness.js';

const [, , address] = process.argv;
const names = `--host-resolver-rules=MAP ${new URL(address).hostname} 127.0.0.1`;
const browser = await chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_FLAGS, names] });
const [first, second] = await Promise.all([visit(browser, address, PHONE), visit(browser, address, PHONE)]);
await say(first, 'hello, room');
await shows(second, 'hello, room');
await browser.close();
