/** Makes the pictures of the README: the page on a phone, in light and in dark. `npm run screenshots` */

import { mkdir, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { allSent, DEADLINE_MS, isConnected, isNotConnected, launch, Line, PHONE, say, Server, visit } from './harness.js';

const folder = fileURLToPath(new URL('../../docs/', import.meta.url));
const MORNING = new Date('2025-06-01T09:41:00Z');

async function phone(url, colorScheme) {
  const settings = { ...PHONE, deviceScaleFactor: 1.5, colorScheme, reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' };
  const page = await visit(browser, 'about:blank', settings, { connected: false });
  await page.clock.setFixedTime(MORNING);
  await page.goto(url);
  await isConnected(page);
  return page;
}

/** A mast with its light in the fog, as a PNG. */
async function drawMast() {
  const url = await other.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 800, height: 600 });
    const pen = canvas.getContext('2d');
    const fill = (style, ...box) => {
      pen.fillStyle = style;
      pen.fillRect(...box);
    };
    const blend = (gradient, ...colors) => {
      colors.forEach((color, i) => gradient.addColorStop(i / (colors.length - 1), color));
      return gradient;
    };
    fill(blend(pen.createLinearGradient(0, 0, 0, 430), '#8fa9b6', '#d8e1e2'), 0, 0, 800, 430);
    fill(blend(pen.createLinearGradient(0, 430, 0, 600), '#9db4bb', '#4d6f7e'), 0, 430, 800, 170);
    fill('#33444c', 494, 120, 12, 330);
    for (const [x, y, width] of [[430, 190, 140], [455, 250, 90]]) fill('#33444c', x, y, width, 8);
    pen.fillStyle = '#26363d';
    pen.beginPath();
    pen.moveTo(330, 430);
    pen.lineTo(690, 430);
    pen.lineTo(640, 490);
    pen.lineTo(380, 490);
    pen.fill();
    fill(blend(pen.createRadialGradient(500, 115, 4, 500, 115, 170), '#fff3c4', '#ffd97a66', '#ffd97a00'), 330, 0, 340, 285);
    return canvas.toDataURL('image/png');
  });
  return Buffer.from(url.split(',')[1], 'base64');
}

const browser = await launch();
const server = await Server.start();
const line = await Line.to(server.port);
await mkdir(folder, { recursive: true });

const light = await phone(server.url, 'light');
const dark = await phone(line.url, 'dark');
const other = await visit(browser, server.url);

let count = 0;
const speak = async (page, text) => {
  await say(page, text);
  count += 1;
  for (const one of [light, dark]) {
    await one.waitForFunction((n) => document.querySelectorAll('#received-area .text').length === n, count, { timeout: DEADLINE_MS });
  }
  await Promise.all([light, dark].map(allSent));
};

await speak(other, 'Morning, everybody! Is the mast up?');
await light.setInputFiles('#photo', { name: 'mast.png', mimeType: 'image/png', buffer: await drawMast() });
for (const one of [light, dark]) {
  await one.waitForFunction(() => [...document.images].some(({ alt, naturalWidth }) => alt.startsWith('Photo') && naturalWidth > 0), null, { timeout: DEADLINE_MS });
}
await speak(light, 'Up and lit, as you see.');
await speak(dark, 'Fog is too thick here. I can hear you, though.');
await speak(other, 'Plans for today:\nhttp://boathouse.local/plans.pdf');
await speak(light, 'Who brings the rope?');
await speak(dark, 'Me. Two of 30 m, in the blue box.');
await speak(other, 'Then we start at ten ⚓');
await light.waitForFunction(() => document.querySelector('#people').textContent === '3 here', null, { timeout: DEADLINE_MS });
await light.screenshot({ path: `${folder}page-light.png` });

line.cut();
await isNotConnected(dark);
await say(dark, 'Walking over to the pier.');
await say(dark, 'No signal behind the boathouse, this goes out later.');
await dark.screenshot({ path: `${folder}page-dark.png` });

await browser.close();
Line.closeAll();
await server.stop();
for (const name of ['page-light.png', 'page-dark.png']) {
  console.log(`docs/${name}: ${(await stat(folder + name)).size} bytes`);
}
