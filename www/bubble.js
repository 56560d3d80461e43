/** One message as an element. A text stays a text here: nothing of it is ever parsed as markup. */

import { pieces } from './links.js';

/** From here on a text is folded, with a button to unfold it. */
const LONG_CHARS = 1_500;
const LONG_LINES = 24;

const MARKS = { waiting: 'Sending…', sending: 'Sending…', sent: 'Sent', refused: 'Too long, not sent', unsure: 'May not have got through' };

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'medium' });

/** @returns {HTMLElement} */
export function element(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** @returns {string} such as `1 byte`, `2048 bytes`, `1.5 MB` */
export function sizeInWords(bytes) {
  if (bytes < 10_000) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

function body(data) {
  if (typeof data !== 'string') return element('div', 'text binary', `Binary message, ${sizeInWords(data.byteLength)}`);
  const text = element('div', 'text');
  text.dir = 'auto';
  for (const piece of pieces(data)) {
    if (piece.href) {
      const link = element('a', '', piece.text);
      link.href = piece.href;
      link.target = '_blank';
      link.rel = 'noopener';
      text.append(link);
    } else {
      text.append(piece.text);
    }
  }
  return text;
}

/**
 * @param {string | ArrayBuffer} data
 * @param {Date} at when it arrived, or was typed
 * @returns {HTMLElement}
 */
export function bubble(data, at) {
  const made = element('div', 'message');
  const inside = element('div', 'bubble');
  const text = body(data);
  inside.append(text);
  if (data.length > LONG_CHARS || (typeof data === 'string' && data.split('\n', LONG_LINES + 1).length > LONG_LINES)) {
    text.classList.add('folded');
    inside.append(Object.assign(element('button', 'unfold', 'Show all'), { type: 'button' }));
  }
  const meta = element('span', 'meta');
  meta.append(element('time', ''));
  inside.append(meta);
  made.append(inside);
  stamp(made, at);
  return made;
}

/** Shows when a message came. */
export function stamp(made, at) {
  const time = made.querySelector('time');
  time.textContent = clock.format(at);
  time.dateTime = at.toISOString();
  time.title = moment.format(at);
}

/** Shows how far one's own message has got. */
export function mark(made, state) {
  const meta = made.querySelector('.meta');
  const old = meta.querySelector('.mark');
  const word = element('span', `mark ${state}`);
  word.append(element('span', state === 'sent' ? 'unseen' : '', MARKS[state]));
  if (old) old.replaceWith(word);
  else meta.append(' ', word);
  if (state === 'unsure') meta.append(Object.assign(element('button', 'again', 'Send again'), { type: 'button' }));
}
