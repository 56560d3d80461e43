/** Clients for a computer, as the README of clients shows them: what each sends, receives, misses and is refused. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { Line, newClient, until } from '../browser/harness.js';
import { Program, aimed, commandOf, endAll, folder, listeners, started } from './programs.js';

const NEWEST_WEBSOCKETS = process.env.WEBSOCKETS_PYTHONPATH;

const clients = [
  { name: 'python-stdlib.py', listens: commandOf('python-stdlib.py'), sends: 'hello from Python' },
  { name: 'python-websockets.py', listens: commandOf('python-websockets.py'), sends: 'hello from a WebSocket', hearsItself: true },
  { name: 'python-websockets.py with the newest library', listens: commandOf('python-websockets.py'), sends: 'hello from a WebSocket', hearsItself: true, env: { PYTHONPATH: NEWEST_WEBSOCKETS } },
  { name: 'node.mjs', listens: commandOf('node.mjs'), sends: 'hello from Node' },
  { name: 'listen.sh and send.sh', listens: commandOf('listen.sh'), sending: commandOf('send.sh'), sends: 'hello from the shell' },
];

after(endAll);

/** The messages of others that it has printed. */
const heard = ({ lines }, { sends }) => lines.filter((line) => line !== sends);

/** Starts the listening one, and waits until it is in: its words are there, and it is one client of the channel more than `others`. */
async function listening(client, server, port, { env, others = 1, cwd } = {}) {
  const program = new Program(aimed(client.listens, port), { env: { ...client.env, ...env }, cwd });
  await until(`${client.name} listens: ${program.errors}`, async () => (await listeners(server)) === others + 1);
  return program;
}

describe('A client', { concurrency: true }, () => {
  for (const client of clients) {
    test(`${client.name}: what it sends arrives, and what others send is printed`, async () => {
      const server = await started();
      const friend = await newClient(server, '/c/lamp');
      const program = await listening(client, server, server.port);
      if (client.sending) assert.equal(await new Program(aimed(client.sending, server.port)).ended(), 0);
      await until('its words arrive', () => friend.received.includes(client.sends));
      const said = ['on', 'Grüße, 朝', '<b>"quoted" \\ $HOME</b>', ' spaces ', '100 %s'];
      said.forEach((text) => friend.say(text));
      await until('it prints all', () => heard(program, client).length >= said.length);
      assert.deepEqual(heard(program, client), said);
      assert.equal(program.lines.includes(client.sends), Boolean(client.hearsItself || client.sending));
    });

    test(`${client.name}: a line that breaks and a server that is restarted cost no message, and bring none twice`, async () => {
      const server = await started('--state', folder());
      const friend = await newClient(server, '/c/lamp');
      const line = await Line.to(server.port);
      const program = await listening(client, server, line.port);
      friend.say('first');
      await until('it hears the first', () => heard(program, client).includes('first'));
      line.cut();
      friend.say('while the line is broken');
      await until('it is said', () => friend.allSent);
      line.mend();
      await until('it hears what it has missed', () => heard(program, client).includes('while the line is broken'));
      line.cut();
      await server.stop();
      await server.start();
      friend.say('behind a restart');
      await until('it is said', () => friend.allSent);
      line.mend();
      await until('it hears that, too', () => heard(program, client).includes('behind a restart'));
      friend.say('live');
      await until('it goes on', () => heard(program, client).includes('live'));
      assert.deepEqual(heard(program, client), ['first', 'while the line is broken', 'behind a restart', 'live']);
    });

    test(`${client.name}: it brings a code, and ends when that is refused`, async () => {
      const server = await started('--code', 'lamp=blue.whale');
      const address = aimed(client.listens, server.port);
      const guesses = [address, address.replace(/ "[^"]*"$/, '')];
      for (const guess of guesses) {
        const stranger = new Program(guess, { env: { ...client.env, FOGHORN_CODE: 'red.whale' } });
        assert.notEqual(await stranger.ended(), 0);
        assert.match(stranger.errors, /401|not sent/);
      }
      const { refused } = await server.status();
      assert.ok(refused[401] <= guesses.length, `${refused[401]} wrong codes`);
      if (client.sending) {
        const sender = aimed(client.sending, server.port);
        assert.notEqual(await new Program(sender).ended(), 0);
        assert.equal(await new Program(sender, { env: { FOGHORN_CODE: 'blue.whale' } }).ended(), 0);
      }
      const program = new Program(address, { env: { ...client.env, FOGHORN_CODE: 'blue.whale' } });
      const says = () => fetch(`${server.url}c/lamp`, { method: 'POST', body: 'welcome', headers: { Authorization: 'Bearer blue.whale' } });
      await until('it is let in', async () => (await says()).ok && program.lines.includes('welcome'));
    });

    test(`${client.name}: a proxy that has no hub behind it for a while is no refusal`, async () => {
      const server = await started();
      const friend = await newClient(server, '/c/lamp');
      let unanswered = 2;
      const proxy = net.createServer((near) => {
        near.on('error', () => {});
        if (unanswered > 0) {
          unanswered -= 1;
          near.once('data', () => near.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'));
          return;
        }
        const far = net.connect(server.port, '127.0.0.1').on('error', () => {});
        near.pipe(far).pipe(near).on('close', () => far.destroy());
      }).listen(0, '127.0.0.1');
      await until('the proxy listens', () => proxy.listening);
      const only = { ...client, listens: client.listens.replace(/ "[^"]*"$/, '') };
      const program = await listening(only, server, proxy.address().port);
      friend.say('on');
      await until('it hears the hub', () => program.lines.includes('on'));
      await program.stop();
      proxy.close();
    });
  }

  test('listen.sh: it goes on where it has stopped, when it is started again', async () => {
    const server = await started();
    const friend = await newClient(server, '/c/lamp');
    const client = { name: 'listen.sh', listens: commandOf('listen.sh') };
    const cwd = folder();
    const first = await listening(client, server, server.port, { cwd });
    friend.say('one');
    await until('it has kept the place', () => readFileSync(path.join(cwd, 'lamp.position'), 'utf8').endsWith(':1\n'));
    await first.stop();
    assert.deepEqual(first.lines, ['one']);
    friend.say('two');
    await until('it is said', () => friend.allSent);
    const second = new Program(aimed(client.listens, server.port), { cwd });
    await until('it prints what it has missed', () => second.lines.length > 0);
    assert.deepEqual(second.lines, ['two']);
  });
});
