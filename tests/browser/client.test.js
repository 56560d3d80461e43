/** foghorn.js and outbox.js alone, against servers that say what the real one says only rarely. */

import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, beforeEach, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { until } from './harness.js';

globalThis.WebSocket = WebSocket;
// Node takes a file for a module by its name, which browsers do not ask for.
const folder = await mkdtemp(join(tmpdir(), 'foghorn-client-'));
const load = async (name) => {
  const copy = join(folder, `${name}.mjs`);
  await copyFile(new URL(`../../www/${name}`, import.meta.url), copy);
  return import(copy);
};
const { Foghorn } = await load('foghorn.js');
const { Outbox } = await load('outbox.js');
const { pieces } = await load('links.js');

/** A server that answers each connection as the next of `scripts` says; the last one is for all that follow. */
class Scripted {
  asked = [];
  sockets = [];
  received = [];

  static async start(...scripts) {
    const scripted = new Scripted();
    scripted.server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    scripted.server.on('connection', (socket, request) => {
      const script = scripts.length > 1 ? scripts.shift() : scripts[0];
      scripted.asked.push(request.url);
      scripted.sockets.push(socket);
      socket.on('message', (data) => scripted.received.push(String(data)));
      script(socket);
    });
    await new Promise((resolve) => scripted.server.on('listening', resolve));
    return scripted;
  }

  get url() { return `http://127.0.0.1:${this.server.address().port}/room?echo=1`; }

  close() {
    this.sockets.forEach((socket) => socket.terminate());
    this.server.close();
  }
}

const sends = (...frames) => (socket) => frames.forEach((frame) => socket.send(frame));

const hello = (fields) => JSON.stringify({ foghorn: 1, greeting: '', clients: 1, maxMessage: 1_048_576, lost: 0, ...fields });

after(() => rm(folder, { recursive: true }));

let horn;
let server;
let got;
let states;
const connect = (url) => {
  horn = new Foghorn(url, {
    onMessage: (data, about) => got.push({ data, ...about }),
    onState: (state) => states.push(state),
  });
};
beforeEach(() => {
  got = [];
  states = [];
});
afterEach(() => {
  horn?.close();
  server?.close();
});

test('counts from the hello on, and comes back with what it has and in place of its old connection', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 7, id: 'abc' }), 'one', 'two'),
    sends(hello({ epoch: 'e1', seq: 9, head: 10, id: 'def' }), 'three', 'four'),
  );
  connect(server.url);
  await until('two messages', () => got.length === 2);
  server.sockets[0].terminate();
  await until('four messages', () => got.length === 4);
  assert.deepEqual(server.asked, ['/room?echo=1', '/room?echo=1&after=e1:9&replaces=abc']);
  assert.deepEqual(got, [
    { data: 'one', seq: 8, resumed: false }, { data: 'two', seq: 9, resumed: false },
    { data: 'three', seq: 10, resumed: true }, { data: 'four', seq: 11, resumed: false },
  ]);
  assert.deepEqual(states.map(({ name }) => name), ['resuming', 'open', 'waiting', 'connecting', 'resuming', 'open']);
});

test('is open when the backlog is over, and not before', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 0 })),
    sends(hello({ epoch: 'e1', seq: 0, head: 2 }), 'one'),
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  server.sockets[0].terminate();
  await until('a message', () => got.length === 1);
  assert.equal(horn.state, 'resuming');
  assert.equal(horn.send('too early'), false);
  server.sockets[1].send('two');
  await until('it is open', () => horn.state === 'open');
  assert.equal(horn.send('now'), true);
});

test('what two connections bring that overlap comes once', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 0, id: 'a' })),
    (socket) => {
      // The old one goes on while the new one has asked but is not greeted yet.
      sends('one', 'two')(server.sockets[0]);
      until('both are there', () => got.length === 2)
        .then(() => sends(hello({ epoch: 'e1', seq: 0, head: 2 }), 'one', 'two', 'three')(socket));
    },
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  horn.check();
  await until('all three', () => got.some(({ data }) => data === 'three'));
  assert.deepEqual(got.map(({ data }) => data), ['one', 'two', 'three']);
  assert.equal(states.some(({ name }) => name === 'connecting'), false, 'the change shows nowhere');
});

test('a takeover in which the server closes the old connection first shows nowhere either', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 0, id: 'a' })),
    (socket) => {
      server.sockets[0].close(1000, 'replaced');
      until('it has seen that', () => horn._socket === null)
        .then(() => socket.send(hello({ epoch: 'e1', seq: 0, id: 'b' })));
    },
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  horn.check();
  await until('the second hello', () => states.length === 4);
  assert.deepEqual(states.map(({ name }) => name), ['resuming', 'open', 'resuming', 'open']);
});

test('counts what is lost, less what the old connection brought meanwhile', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 0 })),
    (socket) => {
      sends('1', '2')(server.sockets[0]);
      until('both are there', () => got.length === 2)
        .then(() => sends(hello({ epoch: 'e1', seq: 5, lost: 5, head: 6 }), '6')(socket));
    },
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  horn.check();
  await until('the last', () => got.length === 3);
  assert.equal(states.at(-2).lost, 3);
  assert.equal(states.at(-2).restarted, false);
});

test('a new run of the server is read from its start, and told as a restart', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 41, id: 'a' })),
    sends(hello({ epoch: 'e2', seq: 2, lost: null, id: 'b' })),
    sends(hello({ epoch: 'e2', seq: 0, head: 2, id: 'c' }), 'new 1', 'new 2'),
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  server.sockets[0].terminate();
  await until('the new ones', () => got.length === 2);
  assert.deepEqual(server.asked.slice(1), ['/room?echo=1&after=e1:41&replaces=a', '/room?echo=1&after=e2:0&replaces=a']);
  assert.deepEqual(states.filter(({ name }) => name === 'resuming').map(({ restarted, lost }) => [restarted, lost]), [[false, 0], [true, 0]]);
});

test('a server with a new epoch every time is not asked for ever', async () => {
  let run = 0;
  server = await Scripted.start((socket) => {
    run += 1;
    socket.send(hello({ epoch: `e${run}`, seq: 5, lost: run > 1 ? null : 0 }));
  });
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  server.sockets[0].terminate();
  await until('it is open again', () => states.filter(({ name }) => name === 'open').length === 2);
  assert.equal(server.asked.length, 3);
  assert.equal(states.at(-2).restarted, true);
});

test('comes back at once where numbers begin anew, and tells why', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 41, id: 'a' })),
    sends(hello({ epoch: 'e2', seq: 0, lost: null, id: 'b' })),
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  server.sockets[0].close(1012, 'the messages were deleted');
  await until('it is open again', () => states.filter(({ name }) => name === 'open').length === 2);
  assert.deepEqual(states.map(({ name }) => name), ['resuming', 'open', 'connecting', 'resuming', 'open'], 'without a pause');
  const { restarted, why } = states[3];
  assert.deepEqual({ restarted, why }, { restarted: true, why: 'the messages were deleted' });
  server.sockets[1].terminate();
  await until('it is open a third time', () => states.filter(({ name }) => name === 'open').length === 3);
  assert.equal(states.at(-2).why, '', 'of the last time only');
});

test('is told why also where it was about to come back already', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 0, id: 'a' })),
    (socket) => {
      server.sockets[0].close(1012, 'the messages were deleted');
      until('it has seen that', () => horn._socket === null)
        .then(() => socket.send(hello({ epoch: 'e2', seq: 0, lost: null, id: 'b' })));
    },
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  horn.check();
  await until('the second hello', () => states.length === 4);
  assert.equal(states[2].why, 'the messages were deleted');
});

test('a server that always says that numbers begin anew is not asked without a pause', async () => {
  server = await Scripted.start((socket) => {
    socket.send(hello({ epoch: `e${server.asked.length}`, seq: 0, lost: null }));
    socket.close(1012, 'anew');
  });
  connect(server.url);
  await until('it waits', () => states.some(({ name }) => name === 'waiting'));
  assert.equal(server.asked.length, 2);
});

const isFull = (socket) => socket.close(1013, 'All places are taken.');

test('says why it cannot come in, and comes back with pauses', async () => {
  server = await Scripted.start(isFull, isFull, sends(hello({ epoch: 'e1', seq: 0 })));
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  assert.deepEqual(states.map(({ name, problem }) => problem || name), [
    'All places are taken.', 'connecting', 'All places are taken.', 'connecting', 'resuming', 'open',
  ]);
});

test('a socket that works stays where there is no place for the next one, which tries again', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 0, id: 'a' })), isFull, sends(hello({ epoch: 'e1', seq: 0, id: 'b' })));
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  horn.check();
  await until('it has tried again', () => states.length === 4);
  assert.deepEqual(server.asked.slice(1), Array(2).fill('/room?echo=1&after=e1:0&replaces=a'));
  assert.deepEqual(states.map(({ name }) => name), ['resuming', 'open', 'resuming', 'open'], 'it shows nowhere');
});

test('one that has brought something meanwhile is not replaced any more', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 0 })), isFull, sends(hello({ epoch: 'e1', seq: 1 })));
  server.server.on('connection', (socket) => server.sockets[1] === socket && socket.on('close', () => server.sockets[0].send('one')));
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  let retry;
  globalThis.setTimeout = (act, ms) => {
    const timer = set(act, ms);
    // As long as the first pause, and as nothing else here.
    if (ms >= 250 && ms <= 500) retry = timer;
    return timer;
  };
  let isOff = false;
  globalThis.clearTimeout = (timer) => {
    if (timer && timer === retry) isOff = true;
    clear(timer);
  };
  try {
    horn.check();
    await until('a message', () => got.length === 1);
    assert.equal(horn.send('more'), true);
    await until('it is there', () => server.received.length === 1);
    assert.ok(retry && isOff, 'it was about to try again, and is no more');
  } finally {
    Object.assign(globalThis, { setTimeout: set, clearTimeout: clear });
  }
  assert.equal(server.asked.length, 2);
});

test('a socket on which something is overdue does not stay', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 0, id: 'a' })), isFull, sends(hello({ epoch: 'e2', seq: 0, lost: null })));
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  horn.compare('e2', 0);
  await until('it waits', () => horn.state === 'waiting');
  assert.equal(states.at(-1).problem, 'All places are taken.');
  await until('it is open again', () => horn.state === 'open');
});

const needsCode = (socket) => socket.close(4401, 'This channel needs a code.');
const isLocked = (socket) => socket.close(4429, 'Too many wrong codes.');
const connectWith = (code) => {
  horn = new Foghorn(server.url, { code, onState: (state) => states.push(state) });
};

test('without a code where one is needed it says so once, tries no more, and comes in with one', async () => {
  server = await Scripted.start(needsCode, sends(hello({ epoch: 'e1', seq: 0, send: true })));
  connect(server.url);
  await until('it knows', () => horn.state === 'unauthorized');
  assert.deepEqual(states, [{ name: 'unauthorized', given: false, problem: 'This channel needs a code.' }]);
  horn.check();
  horn.compare('e1', 1);
  assert.equal(horn.state, 'unauthorized', 'nothing is tried unasked');
  horn.setCode('47&11');
  await until('it is open', () => horn.state === 'open');
  assert.deepEqual(server.asked, ['/room?echo=1', '/room?echo=1&code=47%2611']);
  assert.deepEqual(states.slice(1).map(({ name }) => name), ['connecting', 'resuming', 'open']);
});

test('a code that has let us in is given again, and dropped when it no longer does', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 3, id: 'abc' })), needsCode, sends(hello({ epoch: 'e1', seq: 3 })));
  connectWith('4711');
  await until('it is open', () => horn.state === 'open');
  server.sockets[0].terminate();
  await until('it knows', () => horn.state === 'unauthorized');
  assert.equal(states.at(-1).given, true);
  horn.setCode('');
  await until('it is open', () => horn.state === 'open');
  assert.deepEqual(server.asked, [
    '/room?echo=1&code=4711', '/room?echo=1&code=4711&after=e1:3&replaces=abc', '/room?echo=1&after=e1:3&replaces=abc',
  ]);
});

test('another code takes the place of the connection that there is', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 3, id: 'abc', send: false })), sends(hello({ epoch: 'e1', seq: 3, send: true })));
  connectWith('4711');
  await until('it is open', () => horn.state === 'open');
  assert.equal(horn.maySend, false);
  const [socket] = server.sockets;
  const isGone = new Promise((resolve) => socket.on('close', resolve));
  horn.setCode('1919');
  await isGone;
  await until('it is open', () => horn.state === 'open');
  assert.deepEqual(server.asked.slice(1), ['/room?echo=1&code=1919&after=e1:3&replaces=abc']);
  assert.equal(horn.maySend, true);
});

test('another code that meets a lock is told so, also where there was a connection', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 3, send: false })), isLocked);
  connectWith('4711');
  await until('it is open', () => horn.state === 'open');
  horn.setCode('1919');
  await until('it is told', () => horn.state === 'locked');
  assert.deepEqual(states.map(({ name }) => name), ['resuming', 'open', 'connecting', 'locked']);
});

test('a page that was put away comes back without the code that was wrong', async () => {
  server = await Scripted.start(needsCode);
  Object.assign(globalThis, { document: new EventTarget(), window: new EventTarget() });
  const { navigator } = globalThis;
  Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
  try {
    connectWith('4711');
    await until('it knows', () => horn.state === 'unauthorized');
    window.dispatchEvent(new Event('online'));
    assert.equal(horn.state, 'unauthorized', 'nothing is tried unasked');
    window.dispatchEvent(new Event('pagehide'));
    window.dispatchEvent(Object.assign(new Event('pageshow'), { persisted: true }));
    await until('it knows again', () => horn.state === 'unauthorized');
    horn.close();
  } finally {
    delete globalThis.document;
    delete globalThis.window;
    Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  }
  assert.deepEqual(server.asked, ['/room?echo=1&code=4711', '/room?echo=1']);
});

test('who may only receive is told so when it sends, and nothing goes out', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 0, send: false })), sends(hello({ epoch: 'e1', seq: 0 })));
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  assert.throws(() => horn.send('hello'), /needs a code/);
  server.sockets[0].terminate();
  await until('it is open again', () => states.filter(({ name }) => name === 'open').length === 2);
  assert.equal(horn.maySend, true, 'an older server does not say it, and all may send');
  assert.equal(horn.send('now'), true);
  await until('it is there', () => server.received.length === 1);
  assert.deepEqual(server.received, ['now']);
});

test('while it is locked out it waits for a minute, whatever happens, and comes back with the code', async () => {
  server = await Scripted.start(isLocked, sends(hello({ epoch: 'e1', seq: 0 })));
  const { setTimeout: later } = globalThis;
  let retry;
  globalThis.setTimeout = (act, ms) => {
    if (ms < 60_000) return later(act, ms);
    retry = act;
    return undefined;
  };
  try {
    connectWith('4711');
    await until('it is told', () => horn.state === 'locked');
  } finally {
    globalThis.setTimeout = later;
  }
  const { name, retryAt, problem } = states[0];
  assert.deepEqual([name, problem], ['locked', 'Too many wrong codes.']);
  assert.ok(retryAt - Date.now() > 59_000 && retryAt - Date.now() < 75_000, `${retryAt - Date.now()} ms`);
  horn.check();
  assert.equal(horn.state, 'locked');
  retry();
  await until('it is open', () => horn.state === 'open');
  assert.deepEqual(server.asked, Array(2).fill('/room?echo=1&code=4711'));
});

test('a lock takes no socket from us that works', async () => {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 0 })), isLocked);
  connectWith('4711');
  await until('it is open', () => horn.state === 'open');
  horn.check();
  await until('it has tried', () => server.asked.length === 2);
  await until('the old one is used again', () => horn.send('still here'));
  assert.deepEqual(states.map(({ name }) => name), ['resuming', 'open'], 'it shows nowhere');
});

for (const [what, first] of Object.entries({
  'a greeting': 'connected to WebSocket server',
  'other JSON': '{"foghorn":2}',
  'a JSON null': 'null',
  'a binary message': new Uint8Array([1, 2, 3]),
  'a hello without a number': hello({ epoch: 'e', seq: '7' }),
})) {
  test(`says so and tries again when ${what} comes first`, async () => {
    server = await Scripted.start(sends(first), sends(hello({ epoch: 'e1', seq: 0 })));
    connect(server.url);
    await until('it is open', () => horn.state === 'open');
    assert.match(states[0].problem, /does not speak foghorn.v1/);
    assert.equal(states[0].name, 'waiting');
  });
}

test('waits longer and longer, but never more than 15 s', async () => {
  server = await Scripted.start(sends('no'));
  const { setTimeout: later } = globalThis;
  const delays = [];
  const helloMs = 6_000;
  globalThis.setTimeout = (act, ms) => later(act, ms === helloMs ? ms : 1);
  try {
    horn = new Foghorn(server.url, {
      onState: ({ name, retryAt }) => name === 'waiting' && delays.push(retryAt - Date.now()),
    });
    await until('many tries', () => delays.length >= 10);
  } finally {
    globalThis.setTimeout = later;
  }
  assert.ok(delays[0] <= 500 && delays[1] <= 1_000);
  assert.ok(delays.every((ms) => ms >= 240 && ms <= 15_000), `${delays}`);
  assert.ok(delays.slice(7).every((ms) => ms >= 7_400), `${delays}`);
});

/** Connects, sends these, loses the connection, and is told this of them. */
async function untakenOf(messages, ...hellos) {
  server = await Scripted.start(sends(hello({ epoch: 'e1', seq: 0, id: 'a' })), ...hellos.map((fields) => sends(hello(fields))));
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  for (const message of messages) assert.equal(horn.send(message), true);
  await until('they are there', () => server.received.length === messages.length);
  server.sockets[0].terminate();
  await until('it is open again', () => states.filter(({ name }) => name === 'open').length === 2);
  return states.findLast(({ name }) => name === 'resuming').untaken;
}

for (const [what, messages, taken, untaken] of [
  ['of all that got through nothing', ['one', 'two'], 2, 0],
  ['of some the last', ['one', 'two', 'three'], 1, 2],
  ['all of nothing that got through', ['', new ArrayBuffer(3), new Uint8Array(3), 'four'], 0, 4],
  ['nothing where nothing was sent', [], 0, 0],
  ['nothing where nothing was sent, whatever the server knows', [], null, 0],
  ['that it is not known where the server does not know it', ['one'], null, null],
  ['that it is not known where the server is older', ['one'], undefined, null],
]) {
  test(`says how many of those sent were not taken: ${what}`, async () => {
    assert.equal(await untakenOf(messages, { epoch: 'e1', seq: 2, id: 'b', taken }), untaken);
    assert.equal(states[0].untaken, 0, 'at first there is nothing');
  });
}

test('says it of a deleted conversation too, and when it has come back twice for the new one', async () => {
  assert.equal(await untakenOf(['one', 'two'],
    { epoch: 'e2', seq: 3, lost: null, id: 'b', taken: 1 }, { epoch: 'e2', seq: 0, head: 0, id: 'c', taken: 1 }), 1);
  assert.deepEqual(server.asked.slice(1), ['/room?echo=1&after=e1:0&replaces=a', '/room?echo=1&after=e2:0&replaces=a']);
  assert.equal(states.at(-2).restarted, true);
});

test('counts anew on each connection, and says it once', async () => {
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 0, id: 'a' })),
    sends(hello({ epoch: 'e1', seq: 0, id: 'b', taken: 1 })),
    sends(hello({ epoch: 'e1', seq: 0, id: 'c', taken: 2 })),
    sends(hello({ epoch: 'e1', seq: 0, id: 'd', taken: 0 })),
  );
  connect(server.url);
  const untaken = [];
  for (const [i, count] of [3, 2, 0].entries()) {
    await until('it is open', () => states.filter(({ name }) => name === 'open').length === i + 1);
    for (let j = 0; j < count; j += 1) horn.send(`${i} ${j}`);
    horn.check();
    await until('the next hello', () => states.filter(({ name }) => name === 'resuming').length === i + 2);
    untaken.push(states.findLast(({ name }) => name === 'resuming').untaken);
  }
  assert.deepEqual(untaken, [2, 0, 0]);
});

test('several tries ask for the same connection, and nothing is sent on it while they do', async () => {
  const silent = () => {};
  server = await Scripted.start(
    sends(hello({ epoch: 'e1', seq: 0, id: 'a' })), silent, silent, isFull, sends(hello({ epoch: 'e1', seq: 0, id: 'b', taken: 2 })),
  );
  connect(server.url);
  await until('it is open', () => horn.state === 'open');
  for (const text of ['one', 'two', 'three']) horn.send(text);
  const { now } = Date;
  try {
    for (const tries of [2, 3, 4]) {
      horn.check();
      assert.equal(horn.send('meanwhile'), false);
      await until('it has asked', () => server.asked.length === tries);
      Date.now = () => now() + tries * 2_000;
    }
  } finally {
    Date.now = now;
  }
  // There was no place: the old one is used until the next try.
  await until('it may send', () => horn.send('four'));
  await until('the next hello', () => states.length === 4);
  assert.deepEqual(server.asked.slice(1), Array(4).fill('/room?echo=1&after=e1:0&replaces=a'));
  assert.deepEqual(states[2].untaken, 2);
});

/** An outbox that is open, and what it hands on. */
function openOutbox() {
  const wire = [];
  const outbox = new Outbox((text) => wire.push(text) > 0, () => {});
  const resume = (about) => outbox.follow({ name: 'resuming', hello: {}, lost: 0, restarted: false, untaken: 0, ...about });
  const open = () => outbox.follow({ name: 'open', hello: {} });
  const say = (...texts) => {
    const items = texts.map((text) => outbox.add(text));
    outbox.flush();
    return items;
  };
  resume();
  open();
  return { outbox, wire, resume, open, say };
}
const statesOf = (items) => items.map(({ state }) => state);

test('outbox: nothing goes out before the backlog is over, and of two equal texts one is taken back at a time', () => {
  const { outbox, wire, resume, open, say } = openOutbox();
  outbox.follow({ name: 'connecting' });
  const items = say('yes', 'yes', 'no');
  resume();
  outbox.flush();
  assert.deepEqual(wire, []);
  open();
  assert.deepEqual(wire, ['yes', 'yes', 'no']);
  assert.equal(outbox.takeBack('no'), false, 'that is somebody else\'s: ours come in order');
  assert.equal(outbox.takeBack('yes'), true);
  assert.deepEqual(statesOf(items), ['sent', 'sending', 'sending']);
  for (const text of ['yes', 'no']) assert.equal(outbox.takeBack(text), true);
  assert.ok(outbox.isEmpty);
});

test('outbox: after a break the last ones that were not taken go again, before what was typed since', () => {
  const { outbox, wire, resume, open, say } = openOutbox();
  const items = say('a', 'b', 'c');
  outbox.follow({ name: 'waiting' });
  items.push(...say('d'));
  resume({ untaken: 2 });
  assert.deepEqual(statesOf(items), ['sending', 'waiting', 'waiting', 'waiting']);
  assert.equal(outbox.takeBack('b'), false, 'ours is not there');
  assert.equal(outbox.takeBack('a'), true);
  open();
  assert.deepEqual(statesOf(items), ['sent', 'sending', 'sending', 'sending']);
  assert.deepEqual(wire, ['a', 'b', 'c', 'b', 'c', 'd']);
});

test('outbox: what the server has taken is sent, whether it comes back or is lost', () => {
  const { wire, outbox, resume, open, say } = openOutbox();
  const items = say('a', 'b');
  resume({ lost: 3, untaken: 1 });
  assert.ok(!outbox.isEmpty);
  open();
  assert.deepEqual(statesOf(items), ['sent', 'sending']);
  resume({ restarted: true });
  assert.deepEqual(statesOf(items), ['sent', 'sent'], 'in an older conversation it is there at once');
  assert.equal(outbox.takeBack('b'), false, 'and does not come back in the new one');
  assert.deepEqual(wire, ['a', 'b', 'b']);
});

test('outbox: what came back too early, as somebody else\'s, goes again as well', () => {
  const { outbox, wire, resume, open, say } = openOutbox();
  const items = say('a', 'yes', 'yes', 'no');
  for (const text of ['a', 'yes', 'yes']) assert.equal(outbox.takeBack(text), true);
  assert.deepEqual(statesOf(items), ['sent', 'sent', 'sent', 'sending']);
  items.push(...say('d'));
  resume({ untaken: 3 });
  assert.deepEqual(statesOf(items), ['sent', 'sent', 'waiting', 'waiting', 'waiting']);
  open();
  assert.deepEqual(wire, ['a', 'yes', 'yes', 'no', 'd', 'yes', 'no', 'd']);
  outbox.takeBack('yes');
  resume({ untaken: 3 });
  open();
  assert.deepEqual(wire.slice(8), ['yes', 'no', 'd'], 'once for each break');
});

test('outbox: of a long talk it keeps the last only, and that is enough', () => {
  const { outbox, wire, resume, open, say } = openOutbox();
  const items = [];
  for (let i = 0; i < 1_000; i += 1) {
    items.push(...say(`${i}`));
    outbox.takeBack(`${i}`);
  }
  resume({ untaken: 130 });
  assert.deepEqual(items.filter(({ state }) => state === 'waiting'), items.slice(900));
  open();
  assert.deepEqual(wire.slice(1_000), wire.slice(900, 1_000));
});

for (const [why, ...breaks] of [
  ['restart', { restarted: true, untaken: null }],
  ['loss', { lost: 3, untaken: null }],
  ['loss with the second connection', { untaken: null }, { lost: 3 }],
  ['loss with the first connection', { lost: 3, untaken: null }, {}],
  ['restart with the second connection', { untaken: null }, { restarted: true }],
]) {
  test(`outbox: where nobody can tell, nothing is sent twice: ${why}`, () => {
    const { outbox, wire, resume, open, say } = openOutbox();
    const items = say('back', 'in doubt');
    outbox.takeBack('back');
    outbox.follow({ name: 'waiting' });
    items.push(...say('not in doubt'));
    breaks.forEach(resume);
    open();
    assert.deepEqual(statesOf(items), ['sent', 'unsure', 'sending']);
    assert.deepEqual(wire, ['back', 'in doubt', 'not in doubt']);
    resume();
    open();
    assert.deepEqual(statesOf(items), ['sent', 'unsure', 'sent'], 'the next time it is known again');
    assert.ok(outbox.isEmpty, 'and in doubt is not under way');
  });
}

test('outbox: where the server does not know, what has not come back when nothing is missing goes again', () => {
  const { outbox, wire, resume, open, say } = openOutbox();
  const items = say('a', 'b');
  resume({ untaken: null });
  resume({ untaken: 0 });
  assert.equal(outbox.takeBack('a'), true);
  open();
  assert.deepEqual(statesOf(items), ['sent', 'sending']);
  assert.deepEqual(wire, ['a', 'b', 'b']);
});

test('outbox: a text that a server with another limit does not take is refused, the others go', () => {
  const wire = [];
  const outbox = new Outbox((text) => wire.push(text) > 0, () => {});
  const items = ['short', 'much too long', 'brief'].map((text) => outbox.add(text));
  outbox.follow({ name: 'resuming', hello: { maxMessage: 5 }, lost: 0 });
  outbox.follow({ name: 'open' });
  assert.deepEqual(items.map(({ state }) => state), ['sending', 'refused', 'sending']);
  assert.match(outbox.objection('éàü'), /6 bytes.*at most 5/);
});

test('outbox: where we may only read, nothing is kept to be sent', () => {
  const wire = [];
  const outbox = new Outbox((text) => wire.push(text) > 0, () => {});
  const early = outbox.add('typed before we knew');
  outbox.follow({ name: 'resuming', hello: { send: false }, lost: 0 });
  outbox.follow({ name: 'open' });
  assert.equal(early.state, 'refused');
  assert.match(outbox.objection('later'), /needs a code/);
  assert.ok(outbox.isEmpty);
  outbox.follow({ name: 'resuming', hello: { send: true }, lost: 0 });
  outbox.follow({ name: 'open' });
  assert.equal(outbox.objection('later'), '');
  assert.deepEqual(wire, []);
});

test('links: addresses are found as people write them', () => {
  const links = (text) => {
    const found = pieces(text);
    assert.equal(found.map(({ piece }) => piece).join(''), text);
    return found.filter(({ isLink }) => isLink).map(({ piece }) => piece);
  };
  assert.deepEqual(links('http://a.b/c?d=e#f, (https://g.h/), and https://en.wikipedia.org/wiki/Fog_(weather).'),
    ['http://a.b/c?d=e#f', 'https://g.h/', 'https://en.wikipedia.org/wiki/Fog_(weather)']);
  assert.deepEqual(links('http://[fe80::1]:1920/ http://192.168.1.5:1920! HTTPS://EXAMPLE.ORG'),
    ['http://[fe80::1]:1920/', 'http://192.168.1.5:1920', 'HTTPS://EXAMPLE.ORG']);
  assert.deepEqual(links('javascript:alert(1) data:x ftp://a.b xhttp://a.b https:// https://.'), []);
});
