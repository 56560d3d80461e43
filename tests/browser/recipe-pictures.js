/**
 * Makes the pictures of the recipes, `recipes/NAME/picture.png`: what its screens show, side by side.
 * `npm run screenshots` makes all, `node recipe-pictures.js NAME…` some of them.
 */

import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { launch, PHONE, Server, visit } from './harness.js';

const folderOf = (name) => fileURLToPath(new URL(`../../recipes/${name}/`, import.meta.url));

/** All screens of a picture are shown at this height, in CSS pixels. */
const HEIGHT = 420;
const LARGEST_BYTES = 40_000;

const BIG_SCREEN = { viewport: { width: 960, height: 540 } };
const SMALL_PHONE = { ...PHONE, viewport: { width: 390, height: 700 }, deviceScaleFactor: 1 };

/**
 * What each recipe's picture shows: a scene plays it and returns the pages to be photographed, from left to right.
 * It gets the running `server` and `open(path, device, colorScheme)`, which opens a page on a device of its own.
 */
const SCENES = {
  async scoreboard({ open }) {
    const [board, control] = [await open('/', BIG_SCREEN), await open('/control')];
    for (const [side, name] of [['home', 'Reds'], ['away', 'Blues']]) {
      await control.getByLabel(`Name of the ${side} team`).fill(name);
      await control.keyboard.press('Enter');
    }
    for (const button of ['Home plus 3', 'Away plus 1', 'Away plus 1', 'Home plus 2', 'Home plus 2']) await control.getByLabel(button).click();
    await board.getByText('Reds 7, Blues 2').waitFor({ state: 'attached' });
    await control.evaluate(() => document.activeElement.blur());
    return [board, control];
  },

  async buzzer({ open }) {
    const host = await open('/host', BIG_SCREEN);
    const phones = [];
    for (const name of ['Mira', 'Jonas', 'The Lions']) {
      const phone = await open('/');
      await phone.getByLabel('Your name').fill(name);
      await phone.keyboard.press('Enter');
      await phone.locator('#buzz').press('Enter');
      await host.getByText(name).waitFor();
      phones.push(phone);
    }
    await phones[0].getByText('The Lions').waitFor();
    await host.evaluate(() => { document.querySelector('#address').textContent = 'board:1920'; });
    return [host, phones[0]];
  },

  async vote({ server, open }) {
    const channel = new URL('/c/vote', server.url);
    const post = (body) => fetch(channel, { method: 'POST', body });
    await post(JSON.stringify({ question: 'Where to on Friday?', options: ['The lake', 'The woods', 'The museum'] }));
    const [host, phone] = [await open('/host', BIG_SCREEN), await open('/')];
    await phone.getByText('The lake').click();
    for (const [i, choice] of [1, 1, 2, 1, 3, 2, 1, 2].entries()) await post(`vote voter${i} ${choice}`);
    for (const page of [host, phone]) await page.getByText('9 votes').waitFor();
    await host.evaluate(() => { document.querySelector('#address').textContent = 'board:1920'; });
    return [host, phone];
  },

  async dashboard({ server, open }) {
    const steps = 120;
    for (let i = 0; i < steps; i += 1) {
      const readings = [
        `kitchen ${(20.5 + 2 * Math.sin(i / 25)).toFixed(1)} °C`,
        `greenhouse ${(24 + 5 * Math.sin(i / 40 - 1)).toFixed(1)} °C`,
        `humidity ${Math.round(52 - 9 * Math.sin(i / 30))} %`,
      ];
      if (i < steps - 14) readings.push('cellar 14.2 °C');
      await fetch(new URL('/c/dashboard', server.url), { method: 'POST', body: readings.join('\n') });
    }
    const pages = [await open('/'), await open('/', SMALL_PHONE, 'dark')];
    for (const page of pages) {
      // What was just posted was measured in the last hour, every 30 s.
      await page.addInitScript((count) => {
        const { parse } = JSON;
        JSON.parse = (text) => {
          const message = parse(text);
          if (message.at) message.at -= (count - message.seq) * 30 + 3;
          return message;
        };
      }, steps);
      await page.reload();
      await page.locator('.stale').waitFor();
      await page.waitForFunction(() => document.querySelector('#sensors path').getAttribute('d'));
    }
    return pages;
  },

  async wall({ server, open }) {
    const words = ['Hello from the pier!', 'Where is the rope?', 'Jonas: In the blue box', 'Happy birthday, Mira', 'The Lions: We won!', 'Mira: The buffet is open'];
    for (const text of words) await fetch(new URL('/c/wall', server.url), { method: 'POST', body: text });
    const [screen, phone] = [await open(`http://board.localhost:${server.port}/wall`, BIG_SCREEN), await open('/')];
    await phone.getByLabel('Your name').fill('Ben');
    await phone.getByLabel('Your words').fill('And the band plays at nine');
    await screen.waitForFunction(() => document.querySelector('#code').naturalWidth > 0);
    await phone.getByText('Mira: The buffet is open').waitFor();
    await screen.evaluate(() => { document.querySelector('#address').textContent = 'board:1920'; });
    await phone.evaluate(() => document.activeElement.blur());
    return [screen, phone];
  },

  async lamp({ open }) {
    const [one, two] = [await open('/'), await open('/', SMALL_PHONE, 'dark')];
    for (const wanted of ['on', 'off', 'on']) {
      await one.getByRole('switch').click();
      for (const page of [one, two]) await page.getByText(wanted, { exact: true }).waitFor();
    }
    await one.evaluate(() => document.activeElement.blur());
    return [one, two];
  },

  async camera({ server, open }) {
    const [screen, phone] = [await open(`http://board.localhost:${server.port}/wall`, BIG_SCREEN), await open('/')];
    for (const hue of [10, 45, 280, 200]) {
      const hills = await phone.evaluate((colour) => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 800, height: 500 });
        const context = canvas.getContext('2d');
        const round = (x, y, radius, lightness) => {
          context.fillStyle = `hsl(${colour}, 45%, ${lightness}%)`;
          context.beginPath();
          context.arc(x, y, radius, 0, 7);
          context.fill();
        };
        context.fillStyle = `hsl(${colour}, 60%, 85%)`;
        context.fillRect(0, 0, 800, 500);
        round(600, 140, 60, 95);
        round(200, 800, 520, 55);
        round(650, 850, 500, 40);
        return canvas.toDataURL().split(',')[1];
      }, hue);
      await phone.setInputFiles('#file', { name: 'hills.png', mimeType: 'image/png', buffer: Buffer.from(hills, 'base64') });
      await phone.getByText('It is on the wall.').waitFor();
    }
    await screen.waitForFunction(() => document.querySelectorAll('#older img').length === 3);
    await screen.evaluate(() => { document.querySelector('#address').textContent = 'board:1920'; });
    return [screen, phone];
  },
};

/** The photographs beside each other, as one picture of 256 colours. */
async function compose(browser, photographs) {
  const page = await browser.newPage({ viewport: { width: 1600, height: HEIGHT + 40 } });
  const images = photographs.map((bytes) => `<img height="${HEIGHT}" src="data:image/png;base64,${bytes.toString('base64')}">`);
  await page.setContent(`<style>
    body { margin: 0; width: max-content; display: flex; gap: 16px; padding: 12px; }
    img { border-radius: 12px; box-shadow: 0 0 0 1px #8888; }
  </style>${images.join('')}`);
  const picture = await page.locator('body').screenshot({ omitBackground: true });
  await page.close();
  return execFileSync('pngquant', ['--speed', '1', '-'], { input: picture });
}

async function make(browser, name) {
  const server = await Server.start('--www', folderOf(name));
  const open = (path, device = SMALL_PHONE, colorScheme = 'light') =>
    visit(browser, new URL(path, server.url).href, { ...device, colorScheme, reducedMotion: 'reduce' }, { connected: false });
  const pages = await SCENES[name]({ server, open });
  const picture = await compose(browser, await Promise.all(pages.map((page) => page.screenshot())));
  await Promise.all(browser.contexts().map((context) => context.close()));
  await server.stop();
  const path = `${folderOf(name)}picture.png`;
  await writeFile(path, picture);
  console.log(`recipes/${name}/picture.png: ${picture.length} bytes`);
  if (picture.length > LARGEST_BYTES) throw new Error(`that is more than ${LARGEST_BYTES}`);
}

const asked = process.argv.slice(2);
const browser = await launch();
for (const name of asked.length ? asked : Object.keys(SCENES)) await make(browser, name);
await browser.close();
