/** What the README of clients says: each example is short and in its table, and each command that it shows is run. */

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { CLIENTS, Program, README, aimed, commandOf, endAll, shown, started } from './programs.js';

after(endAll);

const files = readdirSync(CLIENTS, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && entry.name !== 'README.md')
  .map((entry) => path.relative(CLIENTS, path.join(entry.path, entry.name)));

test('no example is longer than 20 lines', () => {
  assert.ok(files.length > 7);
  for (const file of files) {
    const lines = readFileSync(path.join(CLIENTS, file), 'utf8').trimEnd().split('\n').length;
    assert.ok(lines <= 20, `${file} has ${lines} lines`);
  }
});

test('the table has each example, and nothing else', () => {
  const rows = README.split('\n').filter((line) => line.startsWith('| '));
  const linked = rows.flatMap((row) => [...row.matchAll(/\]\(([^).][^)]*)\)/g)].map(([, link]) => link));
  assert.deepEqual(linked.sort(), files.sort());
});

test('other tests run each command that is shown, but for the one with a code', async () => {
  const withCode = shown.filter((line) => line.startsWith('FOGHORN_CODE='));
  const others = ['python-stdlib.py', 'python-websockets.py', 'node.mjs', 'listen.sh', 'send.sh'].map(commandOf);
  assert.deepEqual([...others, ...withCode], shown);
  assert.equal(withCode.length, 1);
  const server = await started('--code', 'lamp=4711');
  const [command] = withCode;
  assert.equal(await new Program(aimed(command, server.port)).ended(), 0);
  assert.equal(await new Program(aimed(command.replace('FOGHORN_CODE=4711 ', ''), server.port)).ended(), 22);
  const last = await fetch(`${server.url}c/lamp?last&code=4711`);
  assert.equal(await last.text(), 'let me in');
});
