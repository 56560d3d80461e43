/**
 * One's own messages, oldest first, from being typed to coming back.
 *
 *     waiting → sending → sent      and back to waiting, if the server turns out not to have got it
 *                       → unsure    nobody can tell whether it got through: not sent again unasked
 *             → refused             too long, or we may only read
 *
 * Messages have no ids, but an order: only the *first* under way can be the next to come back. From a broken connection
 * the server takes no more once we are back: what is under way when we have caught up goes out again, once. Somebody
 * else's same text may be taken for ours: the others have it either way.
 */

export class Outbox {
  /** `send` hands a text to the connection, and is false if that takes none now. */
  constructor(send, onChange) {
    this._send = send;
    this._onChange = onChange;
    this._items = [];
    this._maxBytes = Infinity;
    this._maySend = true;
    this._ready = false;
    this._gap = false; // ours may be among the lost
  }

  get isEmpty() { return this._items.length === 0; }

  /** Why this cannot be sent, or ''. */
  objection(text) {
    if (!this._maySend) return 'Sending needs a code.';
    const { length } = new TextEncoder().encode(text);
    if (length <= this._maxBytes) return '';
    const [size, max] = [length, this._maxBytes].map((bytes) => bytes.toLocaleString('en'));
    return `Too long to send: ${size} bytes, and this server takes at most ${max} in one message.`;
  }

  /** Returns the item, whose state changes as it goes. */
  add(text) {
    // As it will come back: the wire carries no lone surrogates.
    const item = { text: text.toWellFormed ? text.toWellFormed() : text, state: 'waiting' };
    this._items.push(item);
    return item;
  }

  /** Hands on what is waiting, as far as the connection takes it. */
  flush() {
    if (!this._ready) return;
    for (const item of this._in('waiting')) {
      if (this.objection(item.text)) this._leave(item, 'refused');
      else if (this._send(item.text)) this._change(item, 'sending');
      else break;
    }
  }

  /** Whether this message is one's own, come back. */
  takeBack(data) {
    const sending = this._in('sending');
    // The first ones may be among the lost; a later one that got through vouches for them.
    const found = this._gap ? sending.findIndex((item) => item.text === data) : 0;
    if (!sending[found] || sending[found].text !== data) return false;
    this._gap = false;
    for (const item of sending.slice(0, found + 1)) this._leave(item, 'sent');
    return true;
  }

  /** Takes each state of the `Foghorn`. */
  follow({ name, hello, restarted, lost }) {
    this._ready = false;
    if (name === 'resuming') {
      this._maxBytes = hello.maxMessage || Infinity;
      this._maySend = hello.send !== false;
      this._gap = lost > 0;
      if (restarted) this._in('sending').forEach((item) => this._leave(item, 'unsure'));
    }
    if (name === 'open') this._caughtUp();
  }

  _caughtUp() {
    for (const item of this._in('sending')) {
      if (this._gap) this._leave(item, 'unsure');
      else this._change(item, 'waiting');
    }
    this._gap = false;
    this._ready = true;
    this.flush();
  }

  _in(state) { return this._items.filter((item) => item.state === state); }

  _change(item, state) {
    item.state = state;
    this._onChange(item);
  }

  _leave(item, state) {
    this._items.splice(this._items.indexOf(item), 1);
    this._change(item, state);
  }
}
