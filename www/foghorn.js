/**
 * Foghorn for any page: a WebSocket that comes back by itself and misses nothing. One file: copy it.
 *
 *     import { Foghorn } from './foghorn.js';
 *     const horn = new Foghorn('/c/lights', { onMessage: (data) => console.log(data) });
 *     horn.send('hello');   // false while the state is not 'open'
 *     horn.setCode('4711'); // or `{ code: '4711', … }` above, where the channel needs one
 *
 * `/` is the main channel. The server's first frame, the hello, says where in which epoch (run of the channel) we start;
 * from there we count messages, and come back with `?after=EPOCH:SEQ`.
 *
 * States, as `onState({ name, … })` gets them (not the first, connecting):
 *
 *     connecting   no connection, trying now
 *     resuming     greeted, what we missed follows: { hello, lost (so many are gone for good), restarted (the channel has
 *                  begun anew), why (or ''), untaken (so many of the last ones sent did not get through; null: not known,
 *                  but unless restarted or lost, what has not come back by `open` did not) }
 *     open         up to date, `send` works: { hello }
 *     waiting      for the next try: { retryAt (as Date.now()), problem (a sentence or '') }
 *     unauthorized no code, or a wrong one: { given, problem }; no more tries before `setCode`
 *     locked       too many wrong codes: as waiting, for a minute
 *     closed       by `close()`
 *
 * No socket is trusted after sleep, a change of network, or without an echo: a new one is opened beside it and takes over
 * when greeted. With `?replaces=ID` the server takes nothing more from the old one, and says how many it has.
 */

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15000;
/** The back-off starts anew after a connection that lived this long. */
const GOOD_AFTER_MS = 5000;
/** From the start of a try to the hello. */
const HELLO_MS = 6000;
/** For a sent message to come back; a big one has more time. */
const ECHO_MS = 4000;
const SLOWEST_BYTES_PER_MS = 50;
/** For a message that the server has sent to arrive. */
const OVERDUE_MS = 2000;
/** Phones drop the sockets of hidden pages by then. */
const SLEEP_MS = 10000;
/** An older try began before the network changed. */
const STALE_TRY_MS = 1000;
const LOCKED_MS = 61000;

/** Close codes. */
const NEW_EPOCH = 1012;
const TRY_LATER = 1013;
const UNAUTHORIZED = 4401;
const LOCKED = 4429;

const sizeOf = (data) => [data.length, data.byteLength, data.size].find((size) => size !== undefined);

/** A resuming connection to a Foghorn server. */
export class Foghorn {
  /**
   * @param {string} url of the channel, or relative to the page
   * @param {{ code?: string, onMessage?: (data: string | ArrayBuffer, about: { seq: number, resumed: boolean }) => void,
   *   onState?: (state: object) => void }} [options] each message comes once and in order, one's own too; those from
   *   before we (re)joined are `resumed`
   */
  constructor(url, { code = '', onMessage = () => {}, onState = () => {} } = {}) {
    /** The name of the state. */
    this.state = 'connecting';
    /** What the last hello says; else `send` throws. */
    this.maySend = true;
    this._code = code;
    this._url = new URL(url, typeof location === 'object' ? location.href : undefined);
    this._url.protocol = this._url.protocol.replace('http', 'ws');
    this._onMessage = onMessage;
    this._onState = onState;
    this._epoch = '';
    this._seq = 0;
    this._id = '';
    this._sent = 0; // on the connection of that name
    this._restarted = false;
    this._why = '';
    this._socket = null; // greeted
    this._try = null; // not greeted yet
    this._triedAt = 0;
    this._heardAt = 0;
    this._hiddenAt = 0;
    this._failures = 0;
    this._awaited = null; // what was sent last, until it comes back
    this._isOverdue = false; // the socket should have brought something
    this._unwatch = [];
    if (typeof document === 'object') this._watchPage();
    this._open();
  }

  /**
   * Sends to everybody, or returns false: nothing is kept to be sent later, or again (`untaken`).
   * @param {string | ArrayBuffer | ArrayBufferView | Blob} data
   */
  send(data) {
    if (!this.maySend) throw new Error('Sending needs a code here.');
    if (this.state !== 'open' || this._try || this._socket.readyState !== WebSocket.OPEN) return false;
    this._socket.send(data);
    this._sent += 1;
    this._awaited = data;
    clearTimeout(this._echoDue);
    this._expectEcho(ECHO_MS + sizeOf(data) / SLOWEST_BYTES_PER_MS);
    return true;
  }

  /** Comes in anew with this code; '' is none. */
  setCode(code) {
    if (this.state === 'closed') return;
    this._code = code;
    this._dropAll();
    this._open();
  }

  /** Makes sure of the connection: replaces it, or tries now. */
  check() {
    if (['unauthorized', 'locked', 'closed'].includes(this.state)) return;
    this._failures = 0;
    if (!this._try || Date.now() - this._triedAt > STALE_TRY_MS) this._open();
  }

  /** Takes `epoch` and `head` of `?status`: a socket on which the newest message does not arrive is dead. */
  compare(epoch, head) {
    if (this.state !== 'open') return;
    const heardAt = this._heardAt;
    if (epoch !== this._epoch) this._replace();
    else if (head > this._seq) setTimeout(() => this._heardAt === heardAt && this._replace(), OVERDUE_MS);
  }

  /** Ends it for good. */
  close() {
    this._unwatch.splice(0).forEach((act) => act());
    this._dropAll();
    this._set('closed');
  }

  _replace() {
    this._isOverdue = true;
    this.check();
  }

  _set(name, about) {
    this.state = name;
    this._onState({ name, ...about });
  }

  _open() {
    this._dropTry();
    clearTimeout(this._retry);
    const url = new URL(this._url);
    const query = [url.search.slice(1)];
    if (this._code) query.push(`code=${encodeURIComponent(this._code)}`);
    if (this._epoch) query.push(`after=${this._epoch}:${this._seq}`);
    if (this._id) query.push(`replaces=${this._id}`);
    url.search = query.filter(Boolean).join('&');
    const socket = new WebSocket(url, 'foghorn.v1');
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => this._greet(data);
    socket.onclose = (event) => this._refuse(event);
    this._try = socket;
    this._triedAt = Date.now();
    this._helloDue = setTimeout(() => this._fail(), HELLO_MS);
    if (!this._socket && this.state !== 'connecting') this._set('connecting');
  }

  _greet(data) {
    let hello = null;
    try {
      hello = JSON.parse(data);
    } catch { /* no hello either way */ }
    if (!hello || hello.foghorn !== 1 || typeof hello.epoch !== 'string' || !Number.isSafeInteger(hello.seq)) {
      const said = typeof data === 'string' ? `“${data.slice(0, 80)}”` : 'a binary message';
      return this._fail(`This server does not speak foghorn.v1: it began with ${said}.`);
    }
    if (this._epoch && hello.epoch !== this._epoch) {
      const again = this._restarted;
      this._restarted = true;
      if (hello.seq > 0 && !again) {
        // The new run has messages: come back for them.
        this._epoch = hello.epoch;
        this._seq = 0;
        return this._open();
      }
    }
    const socket = this._try;
    this._try = null;
    this._dropAll();
    this._socket = socket;
    this._heardAt = Date.now();
    this._follow(socket, hello);
  }

  _follow(socket, hello) {
    const resumed = hello.epoch === this._epoch && hello.lost !== null;
    const restarted = this._restarted || (this._epoch !== '' && !resumed);
    // The replaced connection may have brought more by now.
    const lost = resumed ? Math.max(0, hello.seq - this._seq) : 0;
    this._seq = resumed ? Math.max(this._seq, hello.seq) : hello.seq;
    this._epoch = hello.epoch;
    this._id = hello.id || '';
    this.maySend = hello.send !== false;
    const why = restarted ? this._why : '';
    this._restarted = false;
    this._why = '';
    const untaken = this._sent && (Number.isInteger(hello.taken) ? this._sent - hello.taken : null);
    this._sent = 0;
    let seq = hello.seq;
    const { head = seq } = hello;
    const catchUp = () => {
      if (this.state === 'resuming' && this._socket === socket && seq >= head) this._set('open', { hello });
    };
    socket.onmessage = ({ data }) => {
      seq += 1;
      this._heardAt = Date.now();
      this._isOverdue = false;
      clearTimeout(this._retry);
      try {
        if (seq > this._seq) this._deliver(data, seq, seq <= head);
      } finally {
        catchUp();
      }
    };
    socket.onclose = (event) => this._lose(event);
    this._set('resuming', { hello, lost, restarted, why, untaken });
    catchUp();
  }

  _deliver(data, seq, resumed) {
    this._seq = seq;
    const awaited = this._awaited;
    if (awaited !== null && (data === awaited || data.byteLength === sizeOf(awaited))) this._awaited = null;
    this._onMessage(data, { seq, resumed });
  }

  /** While others are heard, ours is in the queue. */
  _expectEcho(patience) {
    this._echoDue = setTimeout(() => {
      if (this._awaited === null) return;
      const silent = Date.now() - this._heardAt;
      if (silent < patience) this._expectEcho(patience - silent + 1);
      else this._replace();
    }, patience);
  }

  _lose({ code, reason }) {
    this._drop(this._socket);
    this._socket = null;
    this._why = code === NEW_EPOCH ? reason : '';
    // Closed for the next one, whose hello may come later.
    if (this._try) return;
    if (Date.now() - this._triedAt > GOOD_AFTER_MS) this._failures = 0;
    if (code !== NEW_EPOCH || this._failures > 0) return this._wait();
    this._failures = 1;
    this._open();
  }

  /** What it should have replaced is not to be trusted either. */
  _fail(problem) {
    this._dropAll();
    this._wait(problem);
  }

  _refuse({ code, reason }) {
    if (code === UNAUTHORIZED) {
      const given = this._code !== '';
      this._code = '';
      this._dropAll();
      return this._set('unauthorized', { given, problem: reason });
    }
    if (code !== TRY_LATER && code !== LOCKED) return this._fail();
    // The server is there: so may be our socket.
    if (this._socket && !this._isOverdue) this._dropTry();
    else this._dropAll();
    if (code === LOCKED) this._retryIn(LOCKED_MS, 'locked', reason);
    else this._wait(reason);
  }

  _wait(problem = '') {
    const delay = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this._failures) * (0.5 + Math.random() / 2);
    this._failures += 1;
    this._retryIn(delay, 'waiting', problem);
  }

  _retryIn(delay, name, problem) {
    clearTimeout(this._retry);
    this._retry = setTimeout(() => this._open(), delay);
    if (!this._socket) this._set(name, { retryAt: Date.now() + delay, problem });
  }

  _drop(socket) {
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  _dropTry() {
    clearTimeout(this._helloDue);
    this._drop(this._try);
    this._try = null;
  }

  _dropAll() {
    clearTimeout(this._retry);
    clearTimeout(this._echoDue);
    this._awaited = null;
    this._isOverdue = false;
    this._dropTry();
    this._drop(this._socket);
    this._socket = null;
  }

  _watchPage() {
    const on = (target, event, act) => {
      target.addEventListener(event, act);
      this._unwatch.push(() => target.removeEventListener(event, act));
    };
    on(document, 'visibilitychange', () => {
      if (document.hidden) this._hiddenAt = Date.now();
      else if (!this._socket || Date.now() - this._hiddenAt > SLEEP_MS) this.check();
    });
    on(document, 'resume', () => this.check());
    on(window, 'online', () => this.check());
    // A page with an open socket is not kept for the back button.
    on(window, 'pagehide', () => {
      this._dropAll();
      this._set('connecting');
    });
    on(window, 'pageshow', ({ persisted }) => persisted && this.check());
    // `change` also comes with each new estimate of the speed.
    const network = navigator.connection;
    if (!network || !network.addEventListener) return;
    let { type } = network;
    on(network, 'change', () => {
      if (network.type !== type) this.check();
      type = network.type;
    });
  }
}
