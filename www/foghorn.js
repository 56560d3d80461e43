/**
 * Foghorn for any page: a WebSocket that comes back by itself and misses nothing. One file, no imports: copy it.
 *
 *     import { Foghorn } from './foghorn.js';
 *     const horn = new Foghorn('/', { onMessage: (data) => console.log(data) });
 *     horn.send('hello');   // false while the state is not 'open'
 *
 * The server numbers its messages in this run of it, its epoch. Its first frame, the hello, says where we start, and each
 * frame after it is the next message: we only count, and come back with `?after=EPOCH:SEQ`.
 *
 * States, as `onState({ name, … })` gets them (not the first, connecting):
 *
 *     connecting   no connection, trying now
 *     resuming     greeted, what we missed follows: { hello, lost, restarted }; `lost` messages are gone for good,
 *                  `restarted`: it is a new run of the server
 *     open         up to date, `send` works: { hello }
 *     waiting      for the next try: { retryAt (as Date.now()), problem (a sentence or '') }
 *     closed       by `close()`
 *
 * No socket is trusted after sleep, a change of network, or a sent message without an echo: a new one is opened beside it
 * and takes over when greeted, so a false alarm costs nothing and shows nowhere.
 *
 * We come back with `?replaces=ID`, the `id` of the last hello: the server takes nothing more from that connection. So
 * what was sent and has not come back when the state is `open` again was not received.
 */

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;
/** After a connection that lived this long the back-off starts anew. */
const GOOD_AFTER_MS = 5_000;
/** From the start of a try to the hello. */
const HELLO_MS = 6_000;
/** For a sent message to come back; a big one has more time. */
const ECHO_MS = 4_000;
const SLOWEST_BYTES_PER_MS = 50;
/** For a message that the server has sent to arrive. */
const OVERDUE_MS = 2_000;
/** Phones drop the sockets of pages that were hidden this long, without a word. */
const SLEEP_MS = 10_000;
/** An older try was begun on the network before the change. */
const STALE_TRY_MS = 1_000;

const sizeOf = (data) => data.length ?? data.byteLength ?? data.size;

/** A resuming connection to a Foghorn server. */
export class Foghorn {
  /** The name of the state. */
  state = 'connecting';
  #url;
  #onMessage;
  #onState;
  #epoch = '';
  #seq = 0;
  #id = '';
  #restarted = false;
  #socket = null; // greeted
  #try = null; // not greeted yet
  #triedAt = 0;
  #heardAt = 0;
  #hiddenAt = 0;
  #failures = 0;
  #retry;
  #helloDue;
  #echoDue;
  #awaited = null; // what was sent last, until it comes back
  #listening = new AbortController();

  /**
   * @param {string} url of the server: `ws:`, `wss:`, `http:`, `https:`, or relative to the page
   * @param {{ onMessage?: (data: string | ArrayBuffer, about: { seq: number, resumed: boolean }) => void,
   *   onState?: (state: object) => void }} [handlers] each message comes once and in order, one's own too; those
   *   from before we (re)joined are `resumed`
   */
  constructor(url, { onMessage = () => {}, onState = () => {} } = {}) {
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace('http', 'ws');
    this.#onMessage = onMessage;
    this.#onState = onState;
    if (globalThis.document) this.#watchPage();
    this.#open();
  }

  /**
   * Sends to everybody, or returns false: nothing is kept to be sent later.
   * @param {string | ArrayBuffer | ArrayBufferView | Blob} data
   */
  send(data) {
    if (this.state !== 'open' || this.#try || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    this.#awaited = data;
    clearTimeout(this.#echoDue);
    this.#expectEcho(ECHO_MS + sizeOf(data) / SLOWEST_BYTES_PER_MS);
    return true;
  }

  /** Makes sure of the connection: replaces it, or tries now if there is none. */
  check() {
    if (this.state === 'closed') return;
    this.#failures = 0;
    if (!this.#try || Date.now() - this.#triedAt > STALE_TRY_MS) this.#open();
  }

  /** Takes what `/status` says: a socket on which the newest message does not arrive is dead. */
  compare(epoch, newest) {
    if (this.state !== 'open') return;
    const heardAt = this.#heardAt;
    if (epoch !== this.#epoch) this.check();
    else if (newest > this.#seq) setTimeout(() => this.#heardAt === heardAt && this.check(), OVERDUE_MS);
  }

  /** Ends it for good. */
  close() {
    this.#listening.abort();
    this.#dropAll();
    this.#set('closed');
  }

  #set(name, about) {
    this.state = name;
    this.#onState({ name, ...about });
  }

  #open() {
    this.#dropTry();
    clearTimeout(this.#retry);
    const url = new URL(this.#url);
    const query = [url.search.slice(1)];
    if (this.#epoch) query.push(`after=${this.#epoch}:${this.#seq}`);
    if (this.#id) query.push(`replaces=${this.#id}`);
    url.search = query.filter(Boolean).join('&');
    const socket = new WebSocket(url, 'foghorn.v1');
    socket.binaryType = 'arraybuffer';
    socket.onmessage = ({ data }) => this.#greet(data);
    socket.onclose = () => this.#fail();
    this.#try = socket;
    this.#triedAt = Date.now();
    this.#helloDue = setTimeout(socket.onclose, HELLO_MS);
    if (!this.#socket && this.state !== 'connecting') this.#set('connecting');
  }

  #greet(data) {
    let hello = null;
    try {
      hello = JSON.parse(data);
    } catch { /* no hello either way */ }
    if (hello?.foghorn !== 1 || typeof hello.epoch !== 'string' || !Number.isSafeInteger(hello.seq)) {
      const said = typeof data === 'string' ? `“${data.slice(0, 80)}”` : 'a binary message';
      return this.#fail(`This server does not speak foghorn.v1: it began with ${said}.`);
    }
    if (this.#epoch && hello.epoch !== this.#epoch) {
      const again = this.#restarted;
      this.#restarted = true;
      this.#id = '';
      if (hello.seq > 0 && !again) {
        // The new run has messages, all of them news to us: come back for them.
        this.#epoch = hello.epoch;
        this.#seq = 0;
        return this.#open();
      }
    }
    const socket = this.#try;
    this.#try = null;
    this.#dropAll();
    this.#socket = socket;
    this.#heardAt = Date.now();
    this.#follow(socket, hello);
  }

  #follow(socket, hello) {
    const resumed = hello.epoch === this.#epoch && hello.lost !== null;
    const restarted = this.#restarted || (this.#epoch !== '' && !resumed);
    // From what we have now: the connection that this one replaces may have brought more since we asked.
    const lost = resumed ? Math.max(0, hello.seq - this.#seq) : 0;
    this.#seq = resumed ? Math.max(this.#seq, hello.seq) : hello.seq;
    this.#epoch = hello.epoch;
    this.#id = hello.id ?? '';
    this.#restarted = false;
    let seq = hello.seq;
    const head = hello.head ?? seq;
    const catchUp = () => {
      if (this.state === 'resuming' && this.#socket === socket && seq >= head) this.#set('open', { hello });
    };
    socket.onmessage = ({ data }) => {
      seq += 1;
      this.#heardAt = Date.now();
      try {
        if (seq > this.#seq) this.#deliver(data, seq, seq <= head);
      } finally {
        catchUp();
      }
    };
    socket.onclose = () => this.#lose();
    this.#set('resuming', { hello, lost, restarted });
    catchUp();
  }

  #deliver(data, seq, resumed) {
    this.#seq = seq;
    const awaited = this.#awaited;
    if (awaited !== null && (data === awaited || data.byteLength === sizeOf(awaited))) this.#awaited = null;
    this.#onMessage(data, { seq, resumed });
  }

  /** Silence after a send means a dead socket; while others are heard, ours is just in the queue. */
  #expectEcho(patience) {
    this.#echoDue = setTimeout(() => {
      if (this.#awaited === null) return;
      const silent = Date.now() - this.#heardAt;
      if (silent < patience) this.#expectEcho(patience - silent + 1);
      else this.check();
    }, patience);
  }

  #lose() {
    this.#drop(this.#socket);
    this.#socket = null;
    // The server closes it when it lets in the next one, whose hello may come a little later.
    if (this.#try) return;
    if (Date.now() - this.#triedAt > GOOD_AFTER_MS) this.#failures = 0;
    this.#wait();
  }

  /** The try failed; the socket that it should have replaced is not to be trusted either. */
  #fail(problem) {
    this.#dropAll();
    this.#wait(problem);
  }

  #wait(problem = '') {
    const delay = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#open(), delay);
    this.#set('waiting', { retryAt: Date.now() + delay, problem });
  }

  #drop(socket) {
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #dropTry() {
    clearTimeout(this.#helloDue);
    this.#drop(this.#try);
    this.#try = null;
  }

  #dropAll() {
    clearTimeout(this.#retry);
    clearTimeout(this.#echoDue);
    this.#awaited = null;
    this.#dropTry();
    this.#drop(this.#socket);
    this.#socket = null;
  }

  #watchPage() {
    const on = (target, event, act) => target?.addEventListener(event, act, { signal: this.#listening.signal });
    on(document, 'visibilitychange', () => {
      if (document.hidden) this.#hiddenAt = Date.now();
      else if (!this.#socket || Date.now() - this.#hiddenAt > SLEEP_MS) this.check();
    });
    on(document, 'resume', () => this.check());
    on(window, 'online', () => this.check());
    // A page with an open socket is not kept for the back button; one that was comes back by `pageshow`.
    on(window, 'pagehide', () => {
      this.#dropAll();
      this.#set('connecting');
    });
    on(window, 'pageshow', ({ persisted }) => persisted && this.check());
    // `change` also comes with each new estimate of the speed.
    const network = navigator.connection;
    let type = network?.type;
    on(network, 'change', () => {
      if (network.type !== type) this.check();
      type = network.type;
    });
  }
}
