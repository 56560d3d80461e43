/** What the browser tests stand on: the real server, a real browser, a line that can be cut, and a client without a page. */

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { WebSocket } from 'ws';

/** Long enough for a slow board; nothing waits for it to pass. */
export const DEADLINE_MS = 30_000;

export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
export const CHROMIUM_FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync'];

export const PHONE = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true };
export const DESKTOP = { viewport: { width: 1280, height: 800 } };

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The program that is tested. */
export function binary() {
  const candidates = [process.env.FOGHORN_BIN, here('../../target/release/foghorn'), here('../../target/debug/foghorn')];
  const found = candidates.find((path) => path && existsSync(path));
  if (!found) throw new Error('no foghorn binary: run `cargo build --release` first, or set FOGHORN_BIN');
  return found;
}

/** Waits until `what()` is true (or a promise of it), and says `name` if it never is. */
export async function until(name, what, deadlineMs = DEADLINE_MS) {
  const end = Date.now() + deadlineMs;
  for (;;) {
    if (await what()) return;
    if (Date.now() > end) throw new Error(`waited in vain until ${name}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A running server; `flags` are added to `--listen`. */
export class Server {
  #child;
  #flags;
  port = 0;

  static async start(...flags) {
    const server = new Server();
    server.#flags = flags;
    await server.start();
    return server;
  }

  get url() { return `http://127.0.0.1:${this.port}/`; }

  /** Starts it (again), on the port that it had. */
  async start() {
    const child = spawn(binary(), ['--listen', `127.0.0.1:${this.port}`, ...this.#flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child = child;
    let log = '';
    child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
    const listening = /listening on 127\.0\.0\.1:(\d+)/;
    await until('the server listens', () => {
      if (child.exitCode !== null) throw new Error(`the server ended: ${log}`);
      return listening.test(log);
    });
    this.port = Number(log.match(listening)[1]);
  }

  /** Starts it with other flags, on the port that it had. */
  async restart(...flags) {
    await this.stop();
    this.#flags = flags;
    await this.start();
  }

  async stop(signal = 'SIGTERM') {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** Stops it where it is: it takes nothing and says nothing, until it is ended. */
  pause() { this.#child.kill('SIGSTOP'); }

  async status() { return (await fetch(`${this.url}status`)).json(); }
}

export const launch = () => chromium.launch({ executablePath: CHROMIUM, args: CHROMIUM_FLAGS });

/** A browser that finds this machine by a name, as phones find a board: without TLS such a page is not trusted with much. */
export const LAN_NAME = 'board.local';
export const launchOnLan = () =>
  chromium.launch({ executablePath: CHROMIUM, args: [...CHROMIUM_FLAGS, `--host-resolver-rules=MAP ${LAN_NAME} 127.0.0.1`] });

/** Opens the page in a context of its own, as another device would, and waits until it is connected. */
export async function visit(browser, url, options = DESKTOP, { connected = true } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(DEADLINE_MS);
  page.problems = [];
  page.on('pageerror', (error) => page.problems.push(String(error)));
  page.on('console', (message) => {
    const text = message.text();
    // A lost connection shows in the console of the browser, and it is what these tests are about.
    if (message.type() === 'error' && !/WebSocket|ERR_|Failed to load resource/.test(text)) page.problems.push(text);
  });
  await page.goto(url);
  if (connected) await isConnected(page);
  return page;
}

export const isConnected = (page) => page.waitForFunction(() => document.querySelector('#status').textContent === 'Connected');

export const isNotConnected = (page) => page.waitForFunction(() => document.querySelector('#status').textContent !== 'Connected');

export async function say(page, text) {
  await page.fill('#send-input', text);
  await page.press('#send-input', 'Enter');
}

/** The texts on the page, in order. */
export const texts = (page) => page.$$eval('#received-area .text', (all) => all.map((text) => text.textContent));

/** The texts of one's own, or of others, in order. */
export const own = (page) => page.$$eval('.own .text', (all) => all.map((text) => text.textContent));
export const others = (page) => page.$$eval('.message:not(.own) .text', (all) => all.map((text) => text.textContent));

/** The lines about the conversation. */
export const notes = (page) => page.$$eval('#received-area .note', (all) => all.map((note) => note.textContent));

export const shows = (page, text) => page.waitForFunction(
  (wanted) => [...document.querySelectorAll('#received-area .text')].some((line) => line.textContent === wanted), text);

/** Everything of the page's own came back. */
export const allSent = (page) => page.waitForFunction(() => !document.querySelector('.waiting, .sending'));

/** Has the page wait for what it sends, however long that takes: it replaces no connection because of it. */
export const waitsForEchoes = (page) => page.evaluate(() => {
  const { setTimeout } = window;
  window.setTimeout = (act, ms) => (ms >= 4_000 && ms < 4_001 ? 0 : setTimeout(act, ms));
});

/** Has a handshake from this origin refused. */
export async function refuse({ port }, origin, localAddress = '127.0.0.1') {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { origin, localAddress });
  await new Promise((resolve) => socket.on('unexpected-response', (request, response) => resolve(response.resume())).on('error', () => {}));
}

/** A line between clients and the server that can be cut, and one that goes silent. */
export class Line {
  static #all = new Set();
  #server;
  #pairs = new Set();
  #cut = false;
  port = 0;

  static async to(port) {
    const line = new Line();
    Line.#all.add(line);
    line.#server = net.createServer((near) => line.#join(near, port));
    await new Promise((resolve) => line.#server.listen(0, '127.0.0.1', resolve));
    line.port = line.#server.address().port;
    return line;
  }

  get url() { return `http://127.0.0.1:${this.port}/`; }

  #join(near, port) {
    if (this.#cut) return near.resetAndDestroy();
    const pair = { near, far: net.connect(port, '127.0.0.1') };
    this.#pairs.add(pair);
    const end = () => {
      near.destroy();
      pair.far.destroy();
      this.#pairs.delete(pair);
    };
    for (const socket of [near, pair.far]) socket.setNoDelay().on('error', end).on('close', end);
    near.pipe(pair.far);
    pair.far.pipe(near);
  }

  /** Breaks every connection and refuses new ones. */
  cut() {
    this.#cut = true;
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.destroy();
    }
  }

  mend() { this.#cut = false; }

  /** Nothing passes any more on the connections that there are, or nothing of one side, and nobody is told. New ones work. */
  silence(side = 'both') {
    const ways = [...this.#pairs].flatMap(({ near, far }) => [
      ...(side === 'server' ? [] : [[near, far]]),
      ...(side === 'client' ? [] : [[far, near]]),
    ]);
    for (const [from, to] of ways) from.unpipe(to).pause();
    /** Lets what was held back through after all. */
    return () => ways.forEach(([from, to]) => from.pipe(to));
  }

  static closeAll() {
    for (const line of Line.#all) {
      line.cut();
      line.#server.close();
    }
    Line.#all.clear();
  }
}

/** Joins a server, or what leads to one, with a client without a page. */
export async function newClient(server, path = '/') {
  const client = new RawClient(server.port, path);
  await until('the client is in', () => client.connected);
  return client;
}

/** A client without a page: resumes by itself, and sends again what did not get through. */
export class RawClient {
  static #all = new Set();
  received = [];
  #address;
  #epoch = '';
  #seq = 0;
  #id = '';
  #socket;
  #unsent = [];
  #ended = false;

  constructor(port, path = '/') {
    this.#address = `ws://127.0.0.1:${port}${path}`;
    RawClient.#all.add(this);
    this.#connect();
  }

  static closeAll() {
    for (const client of RawClient.#all) {
      client.#ended = true;
      client.#socket.terminate();
    }
    RawClient.#all.clear();
  }

  say(text) {
    this.#unsent.push(text);
    if (this.#socket?.caughtUp) this.#socket.send(text);
  }

  get connected() { return this.#socket.caughtUp === true; }

  get allSent() { return this.#unsent.length === 0; }

  #connect() {
    const query = this.#epoch ? `?after=${this.#epoch}:${this.#seq}${this.#id && `&replaces=${this.#id}`}` : '';
    const socket = new WebSocket(`${this.#address}${query}`, 'foghorn.v1');
    this.#socket = socket;
    let hello = null;
    const catchUp = () => {
      if (socket.caughtUp || this.#seq < hello.head) return;
      socket.caughtUp = true;
      this.#unsent.forEach((text) => socket.send(text));
    };
    socket.on('message', (data) => {
      if (hello) {
        this.#seq += 1;
        this.received.push(String(data));
        if (String(this.#unsent[0]) === String(data)) this.#unsent.shift();
      } else {
        hello = JSON.parse(data);
        this.#epoch = hello.epoch;
        this.#seq = hello.seq;
        this.#id = hello.id ?? '';
      }
      catchUp();
    });
    socket.on('error', () => {});
    socket.on('close', () => !this.#ended && setTimeout(() => this.#connect(), 50));
  }
}
