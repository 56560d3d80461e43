/** Whether a page can be read as it stands: axe and measures for the machine, a picture for people. */

import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const folder = fileURLToPath(new URL('screenshots/', import.meta.url));

/** axe itself needs no inline code, but has to get past the page's policy to come in: the policy stays on. */
async function violations(page) {
  const axe = await readFile(axePath, 'utf8');
  await page.evaluate(axe);
  const { violations: found } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return found.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
}

/** Fails if axe finds something or anything is too wide; the picture is `NAME-DEVICE.png`. */
export async function isReadable(page, name, device) {
  assert.deepEqual(await violations(page), [], `axe, ${name}`);
  const wide = await page.$$eval('html, dialog[open]', (all) => all.filter((one) => one.scrollWidth > one.clientWidth).map(({ tagName }) => tagName));
  assert.deepEqual(wide, [], `${name} scrolls sideways`);
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: `${folder}${name}-${device}.png` });
}
