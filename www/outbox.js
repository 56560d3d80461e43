/**
 * The outbox: one's own messages, oldest first, from being typed to coming back from the server.
 *
 *     waiting → sending → sent          the usual way; back to waiting if the server turns out not to have got it
 *                       → unsure        nobody can tell if it got through: never sent a second time by itself
 *             → refused                 longer than the server takes
 *
 * Messages have no ids on the wire. What makes it safe to recognise one's own by their text is order: the server takes
 * the messages of one connection in order, and everybody gets all messages in one order. So only the *first* of those
 * under way can be the next to come back; of a connection that broke, the server has got the first few and none after
 * them; and when the resumed stream has caught up, what is still under way was not received and goes out again, once.
 *
 * What remains: somebody else sends the same text at the same moment. Then his may be taken for ours; the room has
 * it either way.
 */

/** Time for the last bytes of a broken connection to reach a server that cannot cut it off by itself. */
const SETTLE_MS = 1_500;

const bytesOf = (text) => new TextEncoder().encode(text).length;

/** Keeps what was typed until it is known to have got through. */
export class Outbox {
  #send;
  #onChange;
  #items = [];
  #maxBytes = Infinity;
  #ready = false;
  #exact = false;
  #gap = false; // messages were lost, ours may be among them
  #settling;

  /**
   * @param {(text: string) => boolean} send hands a text to the connection, false if that is not possible now
   * @param {(item: { text: string, state: string }) => void} onChange
   */
  constructor(send, onChange) {
    this.#send = send;
    this.#onChange = onChange;
  }

  /** Whether everything has got through. */
  get isEmpty() { return this.#items.length === 0; }

  /** @returns {string} why this cannot be sent, or '' */
  objection(text) {
    const bytes = bytesOf(text);
    if (bytes <= this.#maxBytes) return '';
    const [size, max] = [bytes, this.#maxBytes].map((n) => n.toLocaleString('en'));
    return `Too long to send: ${size} bytes, and this server takes at most ${max} in one message.`;
  }

  /** @returns {{ text: string, state: string }} the new item, which changes its state as it goes */
  add(text) {
    // As it will come back: the wire carries no lone surrogates.
    const item = { text: text.toWellFormed?.() ?? text, state: 'waiting' };
    this.#items.push(item);
    return item;
  }

  /** Hands on what is waiting, as far as the connection takes it. */
  flush() {
    if (!this.#ready) return;
    for (const item of this.#in('waiting')) {
      if (this.objection(item.text)) this.#leave(item, 'refused');
      else if (this.#send(item.text)) this.#change(item, 'sending');
      else break;
    }
  }

  /** @returns {boolean} whether this message is one's own, come back; its item is `sent` then */
  takeBack(data) {
    const sending = this.#in('sending');
    // After a loss the first ones may be among the lost; a later one that got through vouches for them.
    const found = this.#gap ? sending.findIndex((item) => item.text === data) : 0;
    if (sending[found]?.text !== data) return false;
    this.#gap = false;
    for (const item of sending.slice(0, found + 1)) this.#leave(item, 'sent');
    return true;
  }

  /** Follows the connection: takes each state of a `Foghorn`. */
  follow({ name, hello, restarted, lost, exact, code }) {
    clearTimeout(this.#settling);
    this.#ready = false;
    if (name === 'resuming') {
      this.#maxBytes = hello.maxMessage ?? Infinity;
      this.#exact = exact;
      this.#gap = lost > 0;
      if (restarted) this.#in('sending').forEach((item) => this.#leave(item, 'unsure'));
    }
    if (name === 'open') {
      if (this.#exact || this.#in('sending').length === 0) this.#settle();
      else this.#settling = setTimeout(() => this.#settle(), SETTLE_MS);
    }
    // 1009, message too big: sent again, the culprit would close the next connection too.
    if (code === 1009) this.#refuseLongest();
  }

  /** The stream has caught up: what is under way now was not received. */
  #settle() {
    for (const item of this.#in('sending')) {
      if (this.#gap) this.#leave(item, 'unsure');
      else this.#change(item, 'waiting');
    }
    this.#gap = false;
    this.#ready = true;
    this.flush();
  }

  #refuseLongest() {
    const [longest] = this.#in('sending').sort((a, b) => bytesOf(b.text) - bytesOf(a.text));
    if (longest) this.#leave(longest, 'refused');
  }

  #in(state) { return this.#items.filter((item) => item.state === state); }

  #change(item, state) {
    item.state = state;
    this.#onChange(item);
  }

  #leave(item, state) {
    this.#items = this.#items.filter((other) => other !== item);
    this.#change(item, state);
  }
}
