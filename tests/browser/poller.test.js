/** A program of Node that asks again and again over a connection that is kept. */

import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { Server, until } from './harness.js';

test('a kept connection is used again, and given up before the server closes it', async (t) => {
  const server = await Server.start();
  // Node goes by what a server says where that is less than what its agent has been told.
  const agent = new http.Agent({ keepAlive: true, timeout: 60_000 });
  t.after(() => { agent.destroy(); return server.stop(); });
  const free = () => Object.values(agent.freeSockets).flat();
  const ask = async (path) => {
    const request = http.get(server.url + path, { agent });
    const response = await new Promise((resolve, reject) => request.on('response', resolve).on('error', reject));
    await response.resume().toArray();
    await until('its connection is free', () => free().length === 1);
    return request.reusedSocket;
  };
  assert.equal(await ask(''), false);
  for (const path of ['status', 'foghorn.js', 'nothing', 'qr.svg', '']) {
    // The newer ones take a second off.
    const [{ timeout }] = free();
    assert.ok(timeout === 12_000 || timeout === 11_000, `${timeout} ms before /${path}`);
    assert.equal(await ask(path), true, `/${path}`);
  }
});
