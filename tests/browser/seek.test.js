/** Sound from a folder of one's own: a browser goes to any place in it, and does not fetch all that lies before. */

import assert from 'node:assert/strict';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { launch, Server, until, visit } from './harness.js';

const RATE_HZ = 44_100;
const BLOCK_BYTES = 4;
const SECS = 600;
const HEADER_BYTES = 44;
const FILE_BYTES = HEADER_BYTES + SECS * RATE_HZ * BLOCK_BYTES;

/** Silence, 16 bits in stereo, which takes no room on the disk. */
async function writeWav(path) {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write('RIFF', 0);
  header.writeUInt32LE(FILE_BYTES - 8, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(2, 22);
  header.writeUInt32LE(RATE_HZ, 24);
  header.writeUInt32LE(RATE_HZ * BLOCK_BYTES, 28);
  header.writeUInt16LE(BLOCK_BYTES, 32);
  header.writeUInt16LE(16, 34);
  header.write('data', 36);
  header.writeUInt32LE(FILE_BYTES - HEADER_BYTES, 40);
  const file = await open(path, 'w');
  await file.write(header);
  await file.truncate(FILE_BYTES);
  await file.close();
}

let browser;
let server;
let folder;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'foghorn-seek-'));
  await writeWav(join(folder, 'sound.wav'));
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>Sound</title><audio preload=metadata src=sound.wav></audio>');
  server = await Server.start('--www', folder);
  const tag = async () => (await fetch(`${server.url}sound.wav`, { method: 'HEAD' })).headers.get('etag');
  // Before that, the browser has to take it for another file at each request.
  await until('the tag of a file that has just been written stays', async () => await tag() === await tag());
  browser = await launch();
});
after(async () => {
  await browser.close();
  await server.stop();
  await rm(folder, { recursive: true });
});

test('one can go to the end of a long recording without waiting for all of it', async () => {
  const page = await visit(browser, 'about:blank', undefined, { connected: false });
  const answers = [];
  page.on('response', (response) => {
    if (response.url().endsWith('sound.wav')) answers.push({ status: response.status(), part: response.headers()['content-range'] });
  });
  let bytes = 0;
  const network = await page.context().newCDPSession(page);
  network.on('Network.dataReceived', ({ dataLength }) => { bytes += dataLength; });
  await network.send('Network.enable');
  await page.goto(server.url);
  const found = await page.evaluate(async (secs) => {
    const sound = document.querySelector('audio');
    const happens = (name) => new Promise((resolve, reject) => {
      sound.addEventListener(name, resolve, { once: true });
      sound.addEventListener('error', () => reject(new Error(sound.error.message)), { once: true });
    });
    if (sound.readyState < HTMLMediaElement.HAVE_METADATA) await happens('loadedmetadata');
    const seeked = happens('seeked');
    sound.currentTime = secs - 5;
    await seeked;
    return { at: sound.currentTime, duration: sound.duration, seekable: [sound.seekable.start(0), sound.seekable.end(0)] };
  }, SECS);
  assert.deepEqual(found, { at: SECS - 5, duration: SECS, seekable: [0, SECS] });
  assert.ok(answers.length >= 2, `one answer for each place: ${JSON.stringify(answers)}`);
  for (const { status, part } of answers) {
    assert.equal(status, 206);
    assert.match(part, new RegExp(`^bytes \\d+-${FILE_BYTES - 1}/${FILE_BYTES}$`));
  }
  const start = Number(answers.at(-1).part.match(/\d+/)[0]);
  assert.ok(start > 0.9 * FILE_BYTES, `the last part begins at ${start} of ${FILE_BYTES}`);
  assert.ok(bytes < 0.5 * FILE_BYTES, `${bytes} of ${FILE_BYTES} bytes came`);
});
