/** What the tests of clients stand on: the commands that their README shows, run as it shows them. */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Line, RawClient, Server, until } from '../browser/harness.js';

export const CLIENTS = fileURLToPath(new URL('../../clients/', import.meta.url));
const SCRIPTS = fileURLToPath(new URL('../../scripts/', import.meta.url));
export const README = readFileSync(path.join(CLIENTS, 'README.md'), 'utf8');

/** What Debian's Python has goes before any other's. */
const PATH = `/usr/bin:${process.env.PATH}`;

/** The lines that the README shows for a shell. */
export const shown = [...README.matchAll(/^```sh\n([^]*?)^```/gm)].flatMap(([, block]) => block.trim().split('\n'));

/** The line of it that runs this file. */
export function commandOf(file) {
  const command = shown.find((line) => line.includes(` ${file} `));
  if (!command) throw new Error(`the README does not say how ${file} is run`);
  return command;
}

/** The same with another channel in place of the README's: on this port, and for other words. */
export const aimed = (command, port, channel = '/c/lamp') => command.replace(/raspberrypi\.local:\d+\/c\/lamp/, `127.0.0.1:${port}${channel}`);

/** A copy of a client with a line of its own for where the hub is. */
export function constants(file, from, to) {
  const text = readFileSync(path.join(CLIENTS, file), 'utf8');
  const changed = text.replace(from, to);
  if (changed === text) throw new Error(`${file} has no line ${from}`);
  return changed;
}

/** Not `foghorn-…`: a server takes an empty folder of such a name for one that a killed server has left. */
export const folder = () => mkdtempSync(path.join(tmpdir(), 'clients-'));

export const MICROPYTHON = path.join(SCRIPTS, 'micropython');

/** A command of a shell that runs, until it ends or is ended. */
export class Program {
  static #all = new Set();
  #child;
  output = '';
  errors = '';
  code = null;

  constructor(command, { env = {}, cwd = folder() } = {}) {
    const inClients = command.replace(/ ([\w-]+\.(py|mjs|sh)) /, ` ${CLIENTS}$1 `);
    // A group of its own, to be ended with all that it has started.
    this.#child = spawn('sh', ['-c', inClients], { cwd, env: { ...process.env, PATH, ...env }, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    Program.#all.add(this);
    this.#child.stdout.setEncoding('utf8').on('data', (text) => { this.output += text; });
    this.#child.stderr.setEncoding('utf8').on('data', (text) => { this.errors += text; });
    this.#child.on('close', (code, signal) => { this.code = code ?? signal; });
  }

  get lines() { return this.output.split('\n').slice(0, -1); }

  /** Waits until it has ended, and returns its exit code. */
  async ended() {
    await until('the program ends', () => this.code !== null);
    return this.code;
  }

  async stop() {
    if (this.code === null) process.kill(-this.#child.pid, 'SIGKILL');
    await this.ended();
  }

  static stopAll() { return Promise.all([...Program.#all].map((program) => program.stop())); }
}

const servers = [];

/** A server that is ended with the tests of this file. */
export async function started(...flags) {
  const server = await Server.start(...flags);
  servers.push(server);
  return server;
}

/** How many clients the lamp's channel has, as it says to who has its code. */
export const listeners = async (server, code = '') => (await (await fetch(`${server.url}c/lamp?status&code=${code}`)).json()).clients;

/** Ends all that the tests of a file have started. */
export async function endAll() {
  await Program.stopAll();
  RawClient.closeAll();
  Line.closeAll();
  await Promise.all(servers.map((server) => server.stop()));
}
