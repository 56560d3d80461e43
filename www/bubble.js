/** One message as an element. A text stays a text: nothing of it is parsed as markup. */

import { pieces } from './links.js';

/** From here on a text is folded. */
const LONG_CHARS = 1500;
const LONG_LINES = 24;

/** How photos begin. Nothing that could hold a script is one. */
const PHOTOS = { jpeg: /^\xff\xd8\xff/, png: /^\x89PNG\r\n\x1a\n/, gif: /^GIF8[79]a/, webp: /^RIFF[^]{4}WEBP/ };

const MARKS = { waiting: 'Sending…', sending: 'Sending…', sent: 'Sent', refused: 'Not sent', unsure: 'Maybe not sent' };

const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });

export function element(tag, className, text = '') {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}

export function button(className, text) {
  return Object.assign(element('button', className, text), { type: 'button' });
}

function link(href, className, text) {
  return Object.assign(element('a', className, text), { href, target: '_blank', rel: 'noopener' });
}

function size(bytes) {
  if (bytes < 10000) return bytes === 1 ? '1 byte' : `${bytes} bytes`;
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}

/** A link to it alone. */
function photo(data, type) {
  const src = URL.createObjectURL(new Blob([data], { type: `image/${type}` }));
  const whole = link(src, 'photo');
  const image = Object.assign(new Image(), { src, alt: `Photo, ${size(data.byteLength)}` });
  // As high as what it stands for, so that nobody loses their place.
  image.onerror = () => {
    URL.revokeObjectURL(src);
    whole.replaceWith(binary(data, 'text photo'));
  };
  whole.append(image);
  return whole;
}

function binary(data, className) {
  return element('div', className, `Binary message, ${size(data.byteLength)}`);
}

function body(data) {
  if (typeof data !== 'string') {
    const start = String.fromCharCode(...new Uint8Array(data.slice(0, 12)));
    const type = Object.keys(PHOTOS).find((one) => PHOTOS[one].test(start));
    return type ? photo(data, type) : binary(data, 'text');
  }
  const text = element('div', 'text');
  text.dir = 'auto';
  for (const { piece, isLink } of pieces(data)) {
    text.append(isLink ? link(piece, '', piece) : piece);
  }
  return text;
}

function isLong(data) {
  return typeof data === 'string' && (data.length > LONG_CHARS || data.split('\n', LONG_LINES).length === LONG_LINES);
}

/** Of a text or an `ArrayBuffer` that came, or was typed, `at` this time. */
export function bubble(data, at) {
  const line = element('div', 'message');
  const inside = element('div', 'bubble');
  const text = body(data);
  const meta = element('span', 'meta');
  inside.append(text);
  if (isLong(data)) {
    text.classList.add('folded');
    inside.append(button('unfold', 'Show all'));
  }
  meta.append(element('time', ''));
  inside.append(meta);
  line.append(inside);
  stamp(line, at);
  return line;
}

/** Shows when a message came. */
export function stamp(line, at) {
  const time = line.querySelector('time');
  time.textContent = clock.format(at);
  time.dateTime = at.toISOString();
}

/** Shows how far one's own message has got; `speech.js` tells what matters of it. */
export function mark(line, state) {
  const meta = line.querySelector('.meta');
  meta.setAttribute('aria-live', 'off');
  const word = element('span', `mark ${state}`);
  word.append(element('span', state === 'sent' ? 'unseen' : '', MARKS[state]));
  const before = meta.querySelector('.mark');
  if (before) before.remove();
  meta.append(word);
  if (state === 'unsure' || state === 'refused') meta.append(button('again', 'Send again'));
}
