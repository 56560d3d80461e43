/**
 * One's own messages, oldest first, from being typed to coming back.
 *
 *     waiting → sending → sent      and back to waiting, if the server turns out not to have got it
 *                       → unsure    nobody can tell whether it got through: not sent again unasked
 *             → refused             too long, or we may only read
 *
 * Only the *first* under way can come back next. Somebody else's same message may be taken for it, but after a break the
 * server tells how many it has taken, and the rest goes out again.
 */

/** So many that came back can go again: nobody else says more of the same. */
const KEPT = 100;

const bytesOf = (data) => (typeof data === 'string' ? new TextEncoder().encode(data) : new Uint8Array(data));

function isSame(a, b) {
  if (typeof a === 'string' || a.byteLength !== b.byteLength) return a === b;
  const bytes = bytesOf(b);
  return bytesOf(a).every((byte, i) => byte === bytes[i]);
}

export class Outbox {
  /** `send` hands a message, a text or an `ArrayBuffer`, to the connection, and is false if that takes none now. */
  constructor(send, onChange) {
    this._send = send;
    this._onChange = onChange;
    this._items = []; // sent, then sending, then waiting
    this.maxBytes = Infinity;
    this._maySend = true;
    this._ready = false;
    this._outcome = 'sent'; // of what has not come back when we have caught up
  }

  get isEmpty() { return this._items.every(({ state }) => state === 'sent'); }

  /** Why this cannot be sent, or ''. */
  objection(data) {
    if (!this._maySend) return 'Sending needs a code.';
    const { byteLength } = bytesOf(data);
    if (byteLength <= this.maxBytes) return '';
    const [size, max] = [byteLength, this.maxBytes].map((bytes) => bytes.toLocaleString('en'));
    return `Too long to send: ${size} bytes, and this server takes at most ${max} in one message.`;
  }

  /** Returns the item, whose state changes as it goes. */
  add(data) {
    // As it will come back: the wire carries no lone surrogates.
    const item = { data: data.toWellFormed ? data.toWellFormed() : data, state: 'waiting' };
    this._items.push(item);
    return item;
  }

  /** Hands on what is waiting, as far as the connection takes it. */
  flush() {
    if (!this._ready) return;
    for (const item of this._in('waiting')) {
      if (this.objection(item.data)) {
        this._items.splice(this._items.indexOf(item), 1);
        this._change(item, 'refused');
      } else if (this._send(item.data)) this._change(item, 'sending');
      else break;
    }
  }

  /** Whether this message is one's own, come back. */
  takeBack(data) {
    const item = this._items.find(({ state }) => state === 'sending');
    if (!item || !isSame(item.data, data)) return false;
    this._change(item, 'sent');
    if (this._items.indexOf(item) === KEPT) this._items.shift();
    return true;
  }

  /** Takes each state of the `Foghorn`. */
  follow({ name, hello, restarted, lost, untaken }) {
    this._ready = name === 'open';
    if (name === 'resuming') {
      this.maxBytes = hello.maxMessage || Infinity;
      this._maySend = hello.send !== false;
      const given = this._in('sent').concat(this._in('sending'));
      given.slice(Math.max(0, given.length - untaken)).forEach((item) => this._change(item, 'waiting'));
      if (untaken === null) this._outcome = 'waiting';
      if (this._outcome !== 'sent' && (restarted || lost > 0)) this._outcome = 'unsure';
    }
    if (!this._ready && !restarted) return;
    this._in('sending').forEach((item) => this._change(item, this._outcome));
    this._items = this._in('waiting');
    this._outcome = 'sent';
    this.flush();
  }

  _in(state) { return this._items.filter((item) => item.state === state); }

  _change(item, state) {
    item.state = state;
    this._onChange(item);
  }
}
