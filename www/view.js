/**
 * The conversation on the screen: rendered in batches, bounded, and still where the reader left it. One's own messages
 * follow after all others until they come back.
 */

import { bubble, element, mark, stamp } from './bubble.js';

const MAX_MESSAGES = 1000;
/** All texts together, for phones. Photos, which need no layout, weigh a quarter. */
const MAX_CHARS = 4 * 1024 * 1024;
/** No animation frames come to a hidden page. */
const HIDDEN_MS = 250;
/** So near to it counts as the end. */
const NEAR_PX = 48;
const GROUP_MS = 60000;

const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

export class View {
  /** `jump` leads to the end of `area`. `onBatch` comes before messages are added, `onAgain` sends one again, if it can. */
  constructor(area, jump, { onBatch, onAgain }) {
    this._area = area;
    this._jump = jump;
    this._onBatch = onBatch;
    this._todo = []; // functions, in order
    this._scheduled = false;
    this._sizes = new Map(); // of the lines in their final place, oldest first
    this._chars = 0;
    this._lines = new WeakMap(); // item → its line
    this._items = new WeakMap(); // and back
    this._pending = new Set(); // items, in order
    this._last = { own: null, at: new Date() };
    this._fresh = { count: 0, quietly: false };
    this._atEnd = true;
    this._top = 0; // where it was scrolled to
    this._rest = 0; // what it lacks of a pixel
    this._unseen = 0;
    area.addEventListener('scroll', () => this._look(), { passive: true });
    area.addEventListener('click', ({ target }) => {
      if (target.matches('.unfold')) this._unfold(target);
      if (target.matches('.again')) {
        const line = target.closest('.message');
        if (onAgain(this._items.get(line).data)) this._remove(line);
      }
    });
    jump.onclick = () => this.toEnd();
    const stay = () => this._atEnd && this._scroll();
    if (window.ResizeObserver) new ResizeObserver(stay).observe(area);
    else window.onresize = stay;
  }

  /** Shows a message of somebody; `quietly` if it is an old one. */
  receive(data, quietly) {
    const at = new Date();
    this._fresh.count += 1;
    this._fresh.quietly = this._fresh.quietly || quietly;
    this._step(() => {
      this._place(bubble(data, at), at, false, data);
      if (!this._atEnd) this._unseen += 1;
    });
  }

  /** Shows a line about the conversation. */
  note(text) {
    this._step(() => {
      this._put(element('p', 'note', text), 0);
      this._last.own = null;
    });
  }

  /** Takes all away but one's own that have not come back. */
  clear() {
    this._step(() => {
      for (const line of this._sizes.keys()) this._remove(line);
      this._last.own = null;
      this._atEnd = true;
      this._unseen = 0;
      this._showJump();
    });
  }

  /** Shows one's own new message, and goes to it. */
  add(item) {
    const at = new Date();
    const line = bubble(item.data, at);
    line.classList.add('own');
    line.classList.toggle('joined', this._pending.size > 0 || this._joins(true, at));
    mark(line, item.state);
    this._lines.set(item, line);
    this._items.set(line, item);
    this._pending.add(item);
    this._area.append(line);
    this.toEnd();
  }

  /** Shows the new state of one's own message. */
  update(item) {
    const { state } = item;
    this._step(() => {
      const line = this._lines.get(item);
      if (!this._pending.has(item)) {
        // That was somebody else's.
        line.classList.remove('own');
        line.querySelector('.mark').remove();
        return this.add(item);
      }
      mark(line, state);
      if (state === 'waiting' || state === 'sending') return;
      const at = new Date();
      if (state === 'sent') stamp(line, at);
      this._pending.delete(item);
      this._place(line, at, true, item.data);
    });
  }

  /** Goes to the newest message. */
  toEnd() {
    this._scroll();
    this._look();
  }

  _step(act) {
    this._todo.push(act);
    if (this._todo.length >= MAX_MESSAGES) this._work();
    if (this._scheduled) return;
    this._scheduled = true;
    const once = () => this._scheduled && this._render();
    requestAnimationFrame(once);
    setTimeout(once, HIDDEN_MS);
  }

  /** Measures nothing: many batches fit into one layout. */
  _work() {
    if (this._fresh.count > 0) this._onBatch(this._fresh);
    this._fresh = { count: 0, quietly: false };
    this._todo.splice(0).forEach((act) => act());
    if (this._sizes.size >= 2 * MAX_MESSAGES) this._trim();
  }

  _render() {
    this._scheduled = false;
    this._work();
    if (this._atEnd) {
      this._trim();
      this._scroll();
    } else {
      const line = this._area.lastElementChild;
      const { top } = line.getBoundingClientRect();
      this._trim();
      const wanted = this._area.scrollTop + line.getBoundingClientRect().top - top + this._rest;
      this._area.scrollTop = wanted;
      // Areas scroll by whole pixels: what is left would add up.
      this._rest = (wanted - this._area.scrollTop) % 1;
      this._showJump();
    }
  }

  _joins(own, at) { return this._last.own === own && at - this._last.at < GROUP_MS; }

  _place(line, at, own, data) {
    if (at.toDateString() !== this._last.at.toDateString()) {
      this._put(element('p', 'note', calendar.format(at)), 0);
      this._last.own = null;
    }
    line.classList.toggle('joined', this._joins(own, at));
    this._last = { own, at };
    this._put(line, line.querySelector('.photo') ? data.byteLength / 4 : data.length || 0);
  }

  _put(line, chars) {
    const [first] = this._pending;
    const next = this._lines.get(first) || null;
    // A line that is moved to where it stands would lose its selection, and be read out again.
    if (!line.isConnected || line.nextSibling !== next) {
      if (line.isConnected) line.setAttribute('aria-live', 'off');
      this._area.insertBefore(line, next);
    }
    this._sizes.set(line, chars);
    this._chars += chars;
  }

  _trim() {
    for (const line of this._sizes.keys()) {
      if (this._sizes.size <= MAX_MESSAGES && (this._chars <= MAX_CHARS || this._sizes.size === 1)) return;
      this._remove(line);
    }
  }

  _remove(line) {
    this._chars -= this._sizes.get(line);
    this._sizes.delete(line);
    line.querySelectorAll('a.photo').forEach(({ href }) => URL.revokeObjectURL(href));
    line.remove();
  }

  _unfold(button) {
    const isFolded = button.previousElementSibling.classList.toggle('folded');
    button.textContent = isFolded ? 'Show all' : 'Show less';
    this._top = Infinity;
    this._look();
  }

  _look() {
    const { scrollHeight, scrollTop, clientHeight } = this._area;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    // The end also moves away by what came: only the way up is the reader's.
    if (isAtEnd || scrollTop < this._top) this._atEnd = isAtEnd;
    this._top = scrollTop;
    if (this._atEnd) this._unseen = 0;
    this._showJump();
  }

  _scroll() {
    this._area.scrollTop = this._area.scrollHeight;
    this._top = this._area.scrollTop;
  }

  _showJump() {
    this._jump.hidden = this._atEnd;
    this._jump.textContent = this._unseen ? `↓ ${this._unseen} new` : '↓ Newest';
  }
}
