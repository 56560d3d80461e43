/** The flow for Node-RED, imported into a real one by its admin API, as the menu of its editor does. */

import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, describe, test } from 'node:test';
import RED from 'node-red';
import { WebSocket } from 'ws';
import { Line, newClient, until } from '../browser/harness.js';
import { constants, endAll, folder, listeners, started } from './programs.js';

const nodeRed = http.createServer((request, response) => nodeRed.editor(request, response));
/** What the debug node has shown in the sidebar. */
const shown = [];
let host;
let sidebar;

const api = async (path, body = '') => {
  const answer = await fetch(`http://${host}${path}`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
  assert.ok(answer.ok, `${path}: ${answer.status} ${await answer.text()}`);
};

before(async () => {
  RED.init(nodeRed, {
    userDir: folder(), httpAdminRoot: '/', credentialSecret: false, logging: { console: { level: 'off' } }, telemetry: { enabled: false },
    websocketReconnectTime: 200,
  });
  nodeRed.editor = RED.httpAdmin;
  await new Promise((resolve) => nodeRed.listen(0, '127.0.0.1', resolve));
  host = `127.0.0.1:${nodeRed.address().port}`;
  await RED.start();
  sidebar = new WebSocket(`ws://${host}/comms`);
  sidebar.on('message', (text) => {
    const news = [JSON.parse(text)].flat();
    shown.push(...news.filter(({ topic }) => topic === 'debug').map(({ data }) => data.msg));
  });
  await new Promise((resolve) => sidebar.on('open', resolve));
  sidebar.send(JSON.stringify({ subscribe: 'debug' }));
});

after(async () => {
  sidebar.terminate();
  await RED.stop();
  nodeRed.closeAllConnections();
  nodeRed.close();
  await endAll();
});

describe('The flow for Node-RED', () => {
  test('sends what is injected, shows what others send and no greeting, and comes back', async () => {
    const server = await started('--code', 'lamp=4711');
    const friend = await newClient(server, '/c/lamp?code=4711&');
    const line = await Line.to(server.port);
    const flow = constants('node-red.json', 'ws://raspberrypi.local:1919/c/lamp?echo=0', `ws://127.0.0.1:${line.port}/c/lamp?echo=0&code=4711`);
    await api('/flows', flow);
    await until('the flow is in', async () => (await listeners(server, '4711')) === 2);
    const inject = JSON.parse(flow).find(({ type }) => type === 'inject').id;
    await api(`/inject/${inject}`);
    await until('it is sent', () => friend.received.length > 0);
    friend.say('Grüße');
    await until('it is shown', () => shown.includes('Grüße'));
    line.cut();
    await until('the line is broken', async () => (await listeners(server, '4711')) === 1);
    line.mend();
    await until('the flow is back', async () => (await listeners(server, '4711')) === 2);
    await api(`/inject/${inject}`);
    await until('it is sent again', () => friend.received.filter((text) => text === 'on').length === 2);
    friend.say('off');
    await until('that is shown, too', () => shown.includes('off'));
    assert.deepEqual(shown, ['Grüße', 'off']);
  });
});
