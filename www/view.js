/**
 * The conversation on the screen: rendered in batches, bounded, and still where the reader left it.
 *
 * Messages stand in the order of the server; one's own that have not come back yet follow after them.
 */

import { bubble, element, mark, stamp } from './bubble.js';

const MAX_MESSAGES = 1_000;
/** All texts together; a thousand long ones would not fit into a phone. */
const MAX_CHARS = 4 * 1024 * 1024;
/** Animation frames do not come to a hidden page. */
const HIDDEN_MS = 250;
/** This near to the end counts as being there. */
const NEAR_PX = 48;
const GROUP_MS = 60_000;

const calendar = new Intl.DateTimeFormat(undefined, { weekday: 'long', day: 'numeric', month: 'long' });

/** Fills and keeps the list of messages. */
export class View {
  #area;
  #jump;
  #onBatch;
  #todo = []; // steps for the next batch: functions, in order
  #scheduled = false;
  #size = new Map(); // of each settled line, oldest first
  #chars = 0;
  #pending = new Map(); // item → its element, in order
  #items = new WeakMap(); // element → its item
  #last = { own: null, at: new Date() };
  #fresh = { count: 0, quietly: false };
  #atEnd = true;
  #unseen = 0;

  /**
   * @param {HTMLElement} area the scrolling list, a live region
   * @param {HTMLButtonElement} jump the way back to the end
   * @param {object} acts
   * @param {(batch: { count: number, quietly: boolean }) => void} acts.onBatch comes before messages are added
   * @param {(item: object) => void} acts.onAgain an unsure message shall be sent again
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
        onAgain(this.#items.get(line));
        this.#remove(line);
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
    const line = bubble(item.text, new Date());
    line.classList.add('own');
    line.classList.toggle('joined', this.#pending.size > 0 || this.#joins(true, new Date()));
    mark(line, item.state);
    this.#items.set(line, item);
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
      this.#pending.delete(item);
      if (state === 'sent') stamp(line, new Date());
      this.#place(line, new Date(), true, item.text.length);
    });
  }

  /** Goes to the newest message. */
  toEnd() {
    this.#atEnd = true;
    this.#unseen = 0;
    this.#scroll();
    this.#showJump();
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

  /** Changes the document, but measures nothing: many batches fit into one layout. */
  #work() {
    if (this.#fresh.count > 0) this.#onBatch(this.#fresh);
    this.#fresh = { count: 0, quietly: false };
    this.#todo.splice(0).forEach((act) => act());
  }

  #render() {
    this.#scheduled = false;
    if (this.#atEnd) {
      this.#work();
      this.#trim();
      this.#scroll();
    } else {
      this.#work();
      const before = this.#area.scrollHeight;
      this.#trim();
      this.#area.scrollTop -= before - this.#area.scrollHeight;
    }
    this.#showJump();
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

  /** After everything settled, before what is still under way. */
  #put(line, chars) {
    const [next = null] = this.#pending.values();
    if (line.nextSibling !== next || line.parentNode !== this.#area) this.#area.insertBefore(line, next);
    this.#size.set(line, chars);
    this.#chars += chars;
    if (this.#size.size >= 2 * MAX_MESSAGES) this.#trim();
  }

  #trim() {
    for (const line of this.#size.keys()) {
      if (this.#size.size <= MAX_MESSAGES && (this.#chars <= MAX_CHARS || this.#size.size === 1)) return;
      this.#remove(line);
    }
  }

  #remove(line) {
    this.#chars -= this.#size.get(line) ?? 0;
    this.#size.delete(line);
    line.remove();
  }

  #unfold(button) {
    button.previousElementSibling.classList.remove('folded');
    button.previousElementSibling.tabIndex = -1;
    button.previousElementSibling.focus({ preventScroll: true });
    button.remove();
    this.#look();
  }

  #look() {
    const { scrollHeight, scrollTop, clientHeight } = this.#area;
    this.#atEnd = scrollHeight - scrollTop - clientHeight < NEAR_PX;
    if (this.#atEnd) this.#unseen = 0;
    this.#showJump();
  }

  #scroll() { this.#area.scrollTop = this.#area.scrollHeight; }

  #showJump() {
    this.#jump.hidden = this.#atEnd;
    this.#jump.textContent = this.#unseen ? `↓ ${this.#unseen} new` : '↓ Newest';
  }
}
