/**
 * The conversation on the screen: rendered in batches, bounded, and still where the reader left it. Messages stand in the
 * order of the server; one's own that have not come back follow after them.
 */

import { bubble, element, mark, stamp } from './bubble.js';

const MAX_MESSAGES = 1_000;
/** All texts together: a thousand long ones would not fit into a phone. */
const MAX_CHARS = 4 * 1024 * 1024;
/** No animation frames come to a hidden page. */
const HIDDEN_MS = 250;
/** So near to the end counts as being there. */
const NEAR_PX = 48;
const GROUP_MS = 60_000;

const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

/** Fills and keeps the list of messages. */
export class View {
  #area;
  #jump;
  #onBatch;
  #todo = []; // functions, in order
  #scheduled = false;
  #sizes = new Map(); // of the lines in their final place, oldest first
  #chars = 0;
  #pending = new Map(); // item → its line, in order
  #last = { own: null, at: new Date() };
  #fresh = { count: 0, quietly: false };
  #atEnd = true;
  #top = 0; // where it was scrolled to
  #unseen = 0;

  /**
   * @param {HTMLElement} area the scrolling list
   * @param {HTMLButtonElement} jump the way back to its end
   * @param {{ onBatch: (batch: { count: number, quietly: boolean }) => void, onAgain: (text: string) => boolean }} acts
   *   comes before messages are added; sends an unsure one again
   */
  constructor(area, jump, { onBatch, onAgain }) {
    this.#area = area;
    this.#jump = jump;
    this.#onBatch = onBatch;
    area.addEventListener('scroll', () => this.#look(), { passive: true });
    area.addEventListener('click', ({ target }) => {
      if (target.matches('.unfold')) this.#unfold(target);
      if (target.matches('.again')) {
        const line = target.closest('.message');
        if (onAgain(line.querySelector('.text').textContent)) this.#remove(line);
      }
    });
    jump.addEventListener('click', () => this.toEnd());
    new ResizeObserver(() => this.#atEnd && this.#scroll()).observe(area);
  }

  /** Shows a message of somebody; `quietly` if it is an old one. */
  receive(data, quietly) {
    const at = new Date();
    this.#fresh.count += 1;
    this.#fresh.quietly ||= quietly;
    this.#step(() => {
      this.#place(bubble(data, at), at, false, data.length ?? 0);
      if (!this.#atEnd) this.#unseen += 1;
    });
  }

  /** Shows a line about the conversation. */
  note(text) {
    this.#step(() => {
      this.#put(element('p', 'note', text), 0);
      this.#last.own = null;
    });
  }

  /** Shows one's own new message, at once, and goes to it. */
  add(item) {
    const at = new Date();
    const line = bubble(item.text, at);
    line.classList.add('own');
    line.classList.toggle('joined', this.#pending.size > 0 || this.#joins(true, at));
    mark(line, item.state);
    this.#pending.set(item, line);
    this.#area.append(line);
    this.toEnd();
  }

  /** Shows the new state of one's own message. */
  update(item) {
    const { state } = item;
    this.#step(() => {
      const line = this.#pending.get(item);
      mark(line, state);
      if (state === 'waiting' || state === 'sending') return;
      const at = new Date();
      if (state === 'sent') stamp(line, at);
      this.#pending.delete(item);
      this.#place(line, at, true, item.text.length);
    });
  }

  /** Goes to the newest message. */
  toEnd() {
    this.#scroll();
    this.#look();
  }

  #step(act) {
    this.#todo.push(act);
    if (this.#todo.length >= MAX_MESSAGES) this.#work();
    if (this.#scheduled) return;
    this.#scheduled = true;
    const once = () => this.#scheduled && this.#render();
    requestAnimationFrame(once);
    setTimeout(once, HIDDEN_MS);
  }

  /** Changes the document but measures nothing, so that many batches fit into one layout. */
  #work() {
    if (this.#fresh.count > 0) this.#onBatch(this.#fresh);
    this.#fresh = { count: 0, quietly: false };
    this.#todo.splice(0).forEach((act) => act());
    if (this.#sizes.size >= 2 * MAX_MESSAGES) this.#trim();
  }

  #render() {
    this.#scheduled = false;
    this.#work();
    if (this.#atEnd) {
      this.#trim();
      this.#scroll();
    } else {
      const before = this.#area.scrollHeight;
      this.#trim();
      this.#area.scrollTop -= before - this.#area.scrollHeight;
      this.#showJump();
    }
  }

  #joins(own, at) { return this.#last.own === own && at - this.#last.at < GROUP_MS; }

  #place(line, at, own, chars) {
    if (at.toDateString() !== this.#last.at.toDateString()) {
      this.#put(element('p', 'note', calendar.format(at)), 0);
      this.#last.own = null;
    }
    line.classList.toggle('joined', this.#joins(own, at));
    this.#last = { own, at };
    this.#put(line, chars);
  }

  #put(line, chars) {
    const [next = null] = this.#pending.values();
    // Moving a line that stands there already would take the selection from it, and have it read out again.
    if (!line.isConnected || line.nextSibling !== next) {
      if (line.isConnected) line.setAttribute('aria-live', 'off');
      this.#area.insertBefore(line, next);
    }
    this.#sizes.set(line, chars);
    this.#chars += chars;
  }

  #trim() {
    for (const line of this.#sizes.keys()) {
      if (this.#sizes.size <= MAX_MESSAGES && (this.#chars <= MAX_CHARS || this.#sizes.size === 1)) return;
      this.#remove(line);
    }
  }

  #remove(line) {
    this.#chars -= this.#sizes.get(line);
    this.#sizes.delete(line);
    line.remove();
  }

  #unfold(button) {
    const isFolded = button.previousElementSibling.classList.toggle('folded');
    button.textContent = isFolded ? 'Show all' : 'Show less';
    this.#top = Infinity;
    this.#look();
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#area;
    const isAtEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    // The end also moves away by what came since the last frame: only the way up is the reader's.
    if (isAtEnd || scrollTop < this.#top) this.#atEnd = isAtEnd;
    this.#top = scrollTop;
    if (this.#atEnd) this.#unseen = 0;
    this.#showJump();
  }

  #scroll() {
    this.#area.scrollTop = this.#area.scrollHeight;
    this.#top = this.#area.scrollTop;
  }

  #showJump() {
    this.#jump.hidden = this.#atEnd;
    this.#jump.textContent = this.#unseen ? `↓ ${this.#unseen} new` : '↓ Newest';
  }
}
