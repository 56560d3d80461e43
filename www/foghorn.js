/**
 * Foghorn for any page: a WebSocket that comes back by itself and misses nothing. One file, no imports: copy it.
 *
 *     import { Foghorn } from './foghorn.js';
 *     const horn = new Foghorn('/', {
 *       onMessage: (data) => console.log(data),
 *     });
 *     horn.send('hello');                            // false while not 'open'
 *
 * The server numbers its messages in this run of it (its epoch). Its first frame to us, the hello, says where we start,
 * each frame after it is the next message, so we only count, and come back with `?after=EPOCH:SEQ`.
 *
 * States, as given to `onState({ name, … })`:
 *
 *     connecting                      no connection, trying now
 *     resuming { hello, restarted,    greeted; what we missed comes now. `lost` messages are gone for good; `restarted`:
 *                lost, exact }        the server has forgotten what was before, and we read its new run from the start
 *     open { hello }                  everything up to date, `send` works
 *     waiting { retryAt, problem,     the next try is at `retryAt` (ms, as Date.now); `problem` is a sentence or '';
 *               code }                `code` is the close code, where a greeted connection was closed
 *     closed                          after `close()`
 *
 * A healthy-looking socket is not trusted after a sleep, a change of network, or a sent message without an echo: a new
 * one is opened beside it and takes over when the server greets it, so a false alarm costs nothing and shows nowhere.
 *
 * What was sent and has not come back when the next state `open` begins was not taken by the server, if `exact` was
 * true: then the server named our connections (`id` in the hello) and has cut off the old one (`replaces`). If not,
 * bytes of the old connection may still be on their way, and only waiting a little makes that unlikely.
 */

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 15_000;
/** A connection that lived this long was a good one: the next loss starts again with the first, short delay. */
const GOOD_AFTER_MS = 5_000;
/** From the start of a try to the hello. */
const HELLO_MS = 6_000;
/** For a sent message to come back, plus a millisecond per `SLOWEST_BYTES_PER_MS` of it. */
const ECHO_MS = 4_000;
const SLOWEST_BYTES_PER_MS = 50;
/** For a message that the server has sent to arrive. */
const OVERDUE_MS = 2_000;
/** A page hidden for longer may have slept, and phones drop the sockets of sleeping pages without a word. */
const SLEEP_MS = 10_000;
/** A try this old when the network changes was begun on the old network. */
const STALE_TRY_MS = 1_000;

const sizeOf = (data) => data.length ?? data.byteLength ?? data.size;

/** A resuming connection to a Foghorn server; see the top of the file. */
export class Foghorn {
  #url;
  #onMessage;
  #onState;
  /** The state's name: 'connecting', 'resuming', 'open', 'waiting' or 'closed'. */
  state = 'connecting';
  #epoch = '';
  #seq = 0;
  #id = '';
  #restarted = false;
  #socket = null; // greeted; messages come from here
  #try = null; // not greeted yet
  #triedAt = 0;
  #greetedAt = 0;
  #heardAt = 0;
  #hiddenAt = 0;
  #failures = 0;
  #retry;
  #helloDue;
  #echoDue;
  #awaited = null; // the last thing sent, until it comes back
  #listening = new AbortController();

  /**
   * @param {string} url where the server is: `ws:`, `wss:`, `http:`, `https:`, or relative to the page
   * @param {object} [handlers]
   * @param {(data: string | ArrayBuffer, about: { seq: number, resumed: boolean }) => void} [handlers.onMessage]
   *   each message once and in order, one's own included; `resumed`: it was said before we (re)joined
   * @param {(state: object) => void} [handlers.onState]
   */
  constructor(url, { onMessage = () => {}, onState = () => {} } = {}) {
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace('http', 'ws');
    this.#url.hash = '';
    this.#onMessage = onMessage;
    this.#onState = onState;
    this.#watchThePage();
    this.#open();
  }

  /** The run of the server that we are in, '' before the first hello. */
  get epoch() { return this.#epoch; }

  /** The number of the newest message that we have. */
  get seq() { return this.#seq; }

  /**
   * Sends to everybody. Nothing is kept: a `false` means that it was not sent, try again when the state is 'open'.
   * @param {string | ArrayBuffer | ArrayBufferView | Blob} data
   * @returns {boolean}
   */
  send(data) {
    if (this.state !== 'open' || this.#try || this.#socket.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(data);
    this.#awaited = data;
    clearTimeout(this.#echoDue);
    this.#expectEcho(ECHO_MS + sizeOf(data) / SLOWEST_BYTES_PER_MS);
    return true;
  }

  /** Makes sure of the connection now: tries at once if there is none, replaces the one that there is. */
  check() {
    if (this.state === 'closed') return;
    this.#failures = 0;
    if (this.#try && Date.now() - this.#triedAt < STALE_TRY_MS) return;
    this.#open();
  }

  /**
   * Tells what the server said elsewhere (in `/status`): a socket on which that does not arrive is dead.
   * @param {string} epoch
   * @param {number} seq the number of its newest message
   */
  compare(epoch, seq) {
    if (this.state !== 'open') return;
    const heardAt = this.#heardAt;
    if (epoch !== this.#epoch) this.check();
    else if (seq > this.#seq) setTimeout(() => this.#heardAt === heardAt && this.check(), OVERDUE_MS);
  }

  /** Ends it for good. */
  close() {
    this.#listening.abort();
    this.#dropAll();
    this.#set('closed');
  }

  #set(name, about = {}) {
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
    this.#try = socket;
    this.#triedAt = Date.now();
    socket.onmessage = ({ data }) => this.#greet(socket, data);
    socket.onclose = () => this.#fail('');
    this.#helloDue = setTimeout(() => this.#fail(''), HELLO_MS);
    if (!this.#socket && this.state !== 'connecting') this.#set('connecting');
  }

  #greet(socket, data) {
    let hello = null;
    try {
      hello = JSON.parse(data);
    } catch { /* said below */ }
    if (hello?.foghorn !== 1 || typeof hello.epoch !== 'string' || !Number.isSafeInteger(hello.seq)) {
      const said = typeof data === 'string' ? `“${data.slice(0, 80)}”` : 'a binary message';
      return this.#fail(`This server does not speak foghorn.v1: it began with ${said}.`);
    }
    if (this.#epoch && hello.epoch !== this.#epoch) {
      const again = this.#restarted;
      this.#restarted = true;
      this.#id = '';
      if (hello.seq > 0 && !again) {
        // All of the new run is news to us, and the server still has it: come back for it from the start.
        this.#epoch = hello.epoch;
        this.#seq = 0;
        return this.#open();
      }
    }
    clearTimeout(this.#helloDue);
    this.#drop(this.#socket);
    this.#socket = socket;
    this.#try = null;
    this.#awaited = null;
    clearTimeout(this.#echoDue);
    this.#greetedAt = this.#heardAt = Date.now();
    this.#follow(socket, hello);
  }

  #follow(socket, hello) {
    const resumed = hello.epoch === this.#epoch && hello.lost !== null;
    const restarted = this.#restarted || (this.#epoch !== '' && !resumed);
    // Counted from what we have by now: the connection that this one replaces may have brought more since we asked.
    const lost = resumed ? Math.max(0, hello.seq - this.#seq) : 0;
    this.#seq = resumed ? Math.max(this.#seq, hello.seq) : hello.seq;
    this.#epoch = hello.epoch;
    this.#id = hello.id ?? '';
    this.#restarted = false;
    const head = hello.head ?? hello.seq;
    let seq = hello.seq;
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
    socket.onclose = ({ code }) => this.#lose(code);
    this.#set('resuming', { hello, restarted, lost, exact: Boolean(hello.id) });
    catchUp();
  }

  #deliver(data, seq, resumed) {
    this.#seq = seq;
    const awaited = this.#awaited;
    if (awaited !== null && (data === awaited || data.byteLength === sizeOf(awaited))) this.#awaited = null;
    this.#onMessage(data, { seq, resumed });
  }

  /** Silence after a send: the socket is dead, whatever it says. While others are heard, ours is just in the queue. */
  #expectEcho(patience) {
    this.#echoDue = setTimeout(() => {
      if (this.#awaited === null) return;
      const silent = Date.now() - this.#heardAt;
      if (silent < patience) this.#expectEcho(patience - silent + 1);
      else this.check();
    }, patience);
  }

  /** The greeted socket closed. */
  #lose(code) {
    this.#drop(this.#socket);
    this.#socket = null;
    if (this.#try) return this.#set('connecting');
    if (Date.now() - this.#greetedAt > GOOD_AFTER_MS) this.#failures = 0;
    this.#wait('', code);
  }

  /** The try came to nothing; then the socket that it should have replaced is not to be trusted either. */
  #fail(problem) {
    this.#dropAll();
    this.#wait(problem);
  }

  #wait(problem, code) {
    const delay = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    this.#failures = Math.min(this.#failures + 1, 10);
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#open(), delay);
    this.#set('waiting', { retryAt: Date.now() + delay, problem, code });
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

  #watchThePage() {
    if (!globalThis.document) return;
    const on = (target, event, act) => target?.addEventListener(event, act, { signal: this.#listening.signal });
    on(document, 'visibilitychange', () => {
      if (document.hidden) this.#hiddenAt = Date.now();
      else if (!this.#socket || Date.now() - this.#hiddenAt > SLEEP_MS) this.check();
    });
    on(document, 'resume', () => this.check());
    on(window, 'online', () => this.check());
    // Pages with an open socket are not kept for the back button; one that is put away comes back with `pageshow`.
    on(window, 'pagehide', () => {
      this.#dropAll();
      this.#set('connecting');
    });
    on(window, 'pageshow', ({ persisted }) => persisted && this.check());
    // `change` also fires for every new estimate of the speed, which says nothing about our socket.
    const network = globalThis.navigator?.connection;
    let type = network?.type;
    on(network, 'change', () => {
      if (network.type !== type) this.check();
      type = network.type;
    });
  }
}
