/** What all recipes have: a row, a README, a small picture, a test, and scripts that the oldest browsers know. */

import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'acorn';

const recipes = new URL('../../recipes/', import.meta.url);
const read = (path) => readFile(new URL(path, recipes), 'utf8');
const names = (await readdir(recipes, { withFileTypes: true })).filter((entry) => entry.isDirectory()).map(({ name }) => name);

/** The scripts in a file of a recipe. */
async function scriptsOf(path) {
  const text = await read(path);
  if (path.endsWith('.js')) return [text];
  return [...text.matchAll(/<script type="module">([^]*?)<\/script>/g)].map(([, script]) => script);
}

for (const name of names) {
  test(`${name} has its row, and what the row leads to`, async () => {
    const row = (await read('README.md')).split('\n').find((line) => line.startsWith(`| [${name}](${name}) |`));
    assert.ok(row, 'a row in recipes/README.md');
    const command = row.match(/`(foghorn --www .*)`/)[1];
    const readme = await read(`${name}/README.md`);
    assert.ok(command.startsWith(`foghorn --www recipes/${name}`) && readme.includes(command), 'one command in both');
    assert.match(readme, /!\[.+\]\(picture\.png\)/);
    assert.ok((await stat(new URL(`${name}/picture.png`, recipes))).size <= 40_000, 'a picture of at most 40 KB');
    await stat(new URL(`recipe-${name}.test.js`, import.meta.url));
  });

  test(`${name} is in the language of the oldest browsers, and loads nothing from elsewhere`, async () => {
    // What a library needs, the recipe's README says.
    const files = (await readdir(new URL(`${name}/`, recipes))).filter((file) => /(\.html|(?<!\.min)\.js)$/.test(file));
    assert.ok(files.includes('index.html'));
    for (const file of files) {
      const path = `${name}/${file}`;
      for (const script of await scriptsOf(path)) assert.doesNotThrow(() => parse(script, { ecmaVersion: 2019, sourceType: 'module' }), path);
      if (file.endsWith('.html')) assert.doesNotMatch(await read(path), /(src|href)="(https?:)?\/\//, path);
    }
  });
}
