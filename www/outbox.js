/**
 * One's own messages, oldest first, from being typed to coming back.
 *
 *     waiting → sending → sent      and back to waiting, if the server turns out not to have got it
 *                       → unsure    nobody can tell whether it got through: not sent again unasked
 *             → refused             longer than the server takes
 *
 * Messages have no ids on the wire, but an order, the same for all. So only the *first* under way can be the next to come
 * back. Of a broken connection the server got the first few, and it takes no more from it once we are back: what is still
 * under way when the resumed stream has caught up goes out again, once. Somebody else's same text at the same moment may
 * be taken for ours: the others have it either way.
 */

/** Keeps what was typed until it is known to have got through. */
export class Outbox {
  #send;
  #onChange;
  #items = [];
  #maxBytes = Infinity;
  #ready = false;
  #gap = false; // ours may be among the lost

  /**
   * @param {(text: string) => boolean} send hands a text to the connection, if it takes one now
   * @param {(item: { text: string, state: string }) => void} onChange
   */
  constructor(send, onChange) {
    this.#send = send;
    this.#onChange = onChange;
  }

  get isEmpty() { return this.#items.length === 0; }

  /** @returns {string} why this cannot be sent, or '' */
  objection(text) {
    const { length } = new TextEncoder().encode(text);
    if (length <= this.#maxBytes) return '';
    const [size, max] = [length, this.#maxBytes].map((bytes) => bytes.toLocaleString('en'));
    return `Too long to send: ${size} bytes, and this server takes at most ${max} in one message.`;
  }

  /** @returns {{ text: string, state: string }} the new item, whose state changes as it goes */
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

  /** @returns {boolean} whether this message is one's own, come back */
  takeBack(data) {
    const sending = this.#in('sending');
    // After a loss the first ones may be among the lost; a later one that got through vouches for them.
    const found = this.#gap ? sending.findIndex((item) => item.text === data) : 0;
    if (sending[found]?.text !== data) return false;
    this.#gap = false;
    for (const item of sending.slice(0, found + 1)) this.#leave(item, 'sent');
    return true;
  }

  /** Takes each state of the `Foghorn`. */
  follow({ name, hello, restarted, lost }) {
    this.#ready = false;
    if (name === 'resuming') {
      this.#maxBytes = hello.maxMessage ?? Infinity;
      this.#gap = lost > 0;
      if (restarted) this.#in('sending').forEach((item) => this.#leave(item, 'unsure'));
    }
    if (name === 'open') this.#caughtUp();
  }

  #caughtUp() {
    for (const item of this.#in('sending')) {
      if (this.#gap) this.#leave(item, 'unsure');
      else this.#change(item, 'waiting');
    }
    this.#gap = false;
    this.#ready = true;
    this.flush();
  }

  #in(state) { return this.#items.filter((item) => item.state === state); }

  #change(item, state) {
    item.state = state;
    this.#onChange(item);
  }

  #leave(item, state) {
    this.#items.splice(this.#items.indexOf(item), 1);
    this.#change(item, state);
  }
}
