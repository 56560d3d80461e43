/** The lamp for MicroPython, run by a real MicroPython: that of Debian, whose sockets are those of the boards. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { Line, newClient, until } from '../browser/harness.js';
import { MICROPYTHON, Program, constants, endAll, folder, listeners, started } from './programs.js';

after(endAll);

/** Runs it with these words in its line of constants, and with little more memory than an ESP8266 has. */
function lamp(port, code = '') {
  const text = constants('micropython.py', '"192.168.1.5", 1920, "/c/lamp", ""', `"127.0.0.1", ${port}, "/c/lamp", "${code}"`);
  const cwd = folder();
  writeFileSync(path.join(cwd, 'main.py'), text);
  return new Program(`exec '${MICROPYTHON}' -X heapsize=64K main.py`, { cwd });
}

/** Where it says what it does: its own channel has commands only, so that the last one is the last message. */
const SAID = '/c/lamp-said';
/** What is read in pieces, of which one looks like a line of its own, with a position that is none. */
const LONG = ['data: on', 'data: off', 'id: nonsense', `id: x${'é'.repeat(60)}`].map((end) => 'x'.repeat(93) + end);

const answers = ({ received }) => received.filter((text) => text.startsWith('The lamp'));

const lit = (server) => until('the lamp is there', async () => (await listeners(server)) === 2);

describe('The lamp for MicroPython', { concurrency: true }, () => {
  // It is fetched once, before several want it.
  spawnSync(MICROPYTHON, ['-c', ''], { stdio: 'inherit' });

  test('does what comes and says so, and takes nothing else for a command', async () => {
    const server = await started();
    const friend = await newClient(server, '/c/lamp');
    const witness = await newClient(server, SAID);
    lamp(server.port);
    await lit(server);
    for (const text of ['on', 'on ', 'öff', '', 'x'.repeat(100_000), '{"on":1}', ...LONG, 'off']) friend.say(text);
    await until('it answers twice', () => answers(witness).length === 2);
    friend.say('on');
    await until('it answers once more', () => answers(witness).length > 2);
    assert.deepEqual(answers(witness), ['The lamp is on', 'The lamp is off', 'The lamp is on']);
  });

  test('a line that breaks and a server that is restarted cost no command, and bring none twice', async () => {
    const server = await started('--state', folder());
    const friend = await newClient(server, '/c/lamp');
    const witness = await newClient(server, SAID);
    const line = await Line.to(server.port);
    lamp(line.port);
    await lit(server);
    friend.say('on');
    await until('it has answered', () => answers(witness).length === 1);
    line.cut();
    ['off', 'on'].forEach((text) => friend.say(text));
    await until('it is said', () => friend.allSent);
    line.mend();
    await until('it answers', () => answers(witness).length === 3);
    line.cut();
    await server.stop();
    await server.start();
    friend.say('off');
    await until('it is said', () => friend.allSent);
    line.mend();
    await until('it answers again', () => answers(witness).length >= 4);
    assert.deepEqual(answers(witness), ['on', 'off', 'on', 'off'].map((state) => `The lamp is ${state}`));
  });

  test('brings a code, and ends when that is refused', async () => {
    const server = await started('--code', 'lamp=4711');
    const stranger = lamp(server.port, '4712');
    assert.notEqual(await stranger.ended(), 0);
    assert.match(stranger.errors, /another CODE/);
    const friend = await newClient(server, '/c/lamp?code=4711&');
    const witness = await newClient(server, SAID);
    lamp(server.port, '4711');
    await until('it answers', async () => {
      friend.say('on');
      return answers(witness).length > 0;
    });
  });
});
