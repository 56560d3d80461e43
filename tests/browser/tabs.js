/**
 * A browser with real tabs, by Chromium's own protocol. Playwright keeps every page visible and awake for its users; what
 * happens to pages that are hidden, frozen, or put away for the back button can only be seen without it.
 */

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { CHROMIUM, CHROMIUM_FLAGS, until } from './harness.js';

/** A running Chromium. */
export class Tabs {
  #child;
  #folder;
  #socket;
  #asked = new Map();
  #lastId = 0;

  static async launch() {
    const tabs = new Tabs();
    tabs.#folder = await mkdtemp(join(tmpdir(), 'foghorn-tabs-'));
    const flags = ['--headless', '--remote-debugging-port=0', `--user-data-dir=${tabs.#folder}`, ...CHROMIUM_FLAGS];
    tabs.#child = spawn(CHROMIUM, [...flags, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
    let log = '';
    tabs.#child.stderr.setEncoding('utf8').on('data', (text) => { log += text; });
    const door = /DevTools listening on (\S+)/;
    await until('Chromium is up', () => door.test(log));
    tabs.#socket = new WebSocket(log.match(door)[1]);
    tabs.#socket.on('message', (data) => {
      const { id, result, error } = JSON.parse(data);
      const asked = tabs.#asked.get(id);
      if (asked) tabs.#asked.delete(id);
      if (error) asked?.reject(new Error(error.message));
      else asked?.resolve(result);
    });
    await new Promise((resolve, reject) => tabs.#socket.on('open', resolve).on('error', reject));
    return tabs;
  }

  ask(method, params = {}, sessionId = undefined) {
    this.#lastId += 1;
    this.#socket.send(JSON.stringify({ id: this.#lastId, method, params, sessionId }));
    return new Promise((resolve, reject) => this.#asked.set(this.#lastId, { resolve, reject }));
  }

  /** Opens a tab, in front of the others. */
  async open(url) {
    const { targetId } = await this.ask('Target.createTarget', { url });
    const { sessionId } = await this.ask('Target.attachToTarget', { targetId, flatten: true });
    const tab = new Tab(this, targetId, sessionId);
    await tab.ask('Page.enable');
    return tab;
  }

  async close() {
    const gone = new Promise((resolve) => this.#child.once('exit', resolve));
    await this.ask('Browser.close').catch(() => this.#child.kill('SIGKILL'));
    await gone;
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 10 });
  }
}

/** One tab; it is hidden while another is in front. */
class Tab {
  #tabs;
  #targetId;
  #sessionId;

  constructor(tabs, targetId, sessionId) {
    this.#tabs = tabs;
    this.#targetId = targetId;
    this.#sessionId = sessionId;
  }

  ask(method, params = {}) { return this.#tabs.ask(method, params, this.#sessionId); }

  /** The value of an expression in the page. */
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.ask('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  until(expression) { return until(`in the page: ${expression}`, () => this.evaluate(expression).catch(() => false)); }

  isConnected() { return this.until('document.querySelector("#status").textContent === "Connected"'); }

  texts() { return this.evaluate('[...document.querySelectorAll("#received-area .text")].map((text) => text.textContent)'); }

  shows(text) {
    return this.until(`[...document.querySelectorAll("#received-area .text")].some((line) => line.textContent === ${JSON.stringify(text)})`);
  }

  say(text) {
    return this.evaluate(`document.querySelector('#send-input').value = ${JSON.stringify(text)}; document.querySelector('#form').requestSubmit()`);
  }

  async toFront() {
    await this.#tabs.ask('Target.activateTarget', { targetId: this.#targetId });
    await this.until('!document.hidden');
  }

  async freeze() {
    await this.evaluate('document.addEventListener("freeze", () => { globalThis.wasFrozen = true; })');
    await this.ask('Page.setWebLifecycleState', { state: 'frozen' });
  }

  thaw() { return this.ask('Page.setWebLifecycleState', { state: 'active' }); }

  async goTo(url) {
    await this.ask('Page.navigate', { url });
    await this.until(`location.href === ${JSON.stringify(url)} && document.readyState === 'complete'`);
  }

  async goBack() {
    const { currentIndex, entries } = await this.ask('Page.getNavigationHistory');
    const { id, url } = entries[currentIndex - 1];
    await this.ask('Page.navigateToHistoryEntry', { entryId: id });
    await this.until(`location.href === ${JSON.stringify(url)}`);
  }
}
