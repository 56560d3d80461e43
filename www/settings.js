/** The dialog with what this device wants: a name, and a screen that stays on. */

import { keep, kept } from './channel.js';
import { $, closing, show } from './dialog.js';

const NAME_MAX_CHARS = 32;
/** These would end a name or its line, or turn around what follows. */
const NOT_IN_NAMES = /[\0-\x1f:\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\s]+/g;

/** Returns what puts the name before a text. */
export function naming(field) {
  const input = $('name');
  let name;
  function take(typed) {
    name = [...typed.replace(NOT_IN_NAMES, ' ').trim()].slice(0, NAME_MAX_CHARS).join('');
    input.value = name;
    field.placeholder = name ? `Message as ${name}` : 'Message to everybody';
  }
  take(kept('name'));
  input.onchange = () => {
    take(input.value);
    keep('name', name);
  };
  $('settings-open').onclick = () => show($('settings'));
  closing($('settings'));
  return (text) => (name ? `${name}: ${text}` : text);
}

/** Without TLS nothing does so that can be relied on: silent videos keep few phones awake. */
export function awake() {
  const [box, reason] = ['awake', 'awake-reason'].map($);
  const { wakeLock } = navigator;
  let lock;
  async function follow() {
    if (lock) lock.release();
    reason.textContent = '';
    lock = box.checked && !document.hidden && await wakeLock.request('screen').catch(({ message }) => {
      box.checked = false;
      reason.textContent = `The browser refuses: ${message}`;
    });
  }
  box.onchange = follow;
  document.addEventListener('visibilitychange', follow);
  box.disabled = !wakeLock;
  if (!wakeLock) reason.textContent = `${window.isSecureContext ? 'This browser cannot' : 'Browsers do so over https only'}. Set it on the phone.`;
}
