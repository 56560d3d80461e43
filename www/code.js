/** The code: taken from the address, kept from last time, or asked for. */

import { code, here, keep } from './channel.js';
import { $, close, closing, show } from './dialog.js';

/** Takes it from behind `#`, where others would see it. */
function codeInAddress() {
  const [, found = ''] = location.hash.match(/^#code=([\w.~-]+)$/) || [];
  if (found) history.replaceState(null, '', location.href.split('#')[0]);
  return found;
}

/** Calls `use` with a code when the states of the `Foghorn` want another than the `first`. */
export function coding(use) {
  const [dialog, text, input, reason, button, letters] =
    ['', '-text', '-input', '-reason', '-open', '-letters'].map((part) => $(`code${part}`));
  let tried = codeInAddress() || code();
  let typed = '';

  function attempt(one) {
    tried = one;
    use(one);
  }

  function ask() {
    if (!dialog.hasAttribute('open')) show(dialog);
    input.value = '';
  }

  /** In place of the field. */
  function say(sentence) {
    document.body.classList.toggle('barred', sentence !== '');
    reason.textContent = text.textContent = sentence;
  }

  function settle(sentence, isOut) {
    const isWrong = typed && typed !== tried;
    say(sentence);
    if (isWrong) text.textContent = 'This is not the code of this channel.';
    if (isWrong || isOut) ask();
    else if (!sentence) close(dialog);
    if (typed && !isWrong) $('send-input').focus();
    typed = '';
  }

  function follow({ name, given, retryAt, hello }) {
    if (given) {
      if (tried === code()) keep(here.pathname, '');
      return attempt(code()); // without one may still read
    }
    if (name === 'locked') say(`Too many wrong codes from your address. Next try at ${new Date(retryAt).toLocaleTimeString()}.`);
    if (name === 'unauthorized') settle('This channel needs a code.', true);
    if (name === 'resuming') {
      keep(here.pathname, tried);
      settle(hello.send === false ? 'You can read here. Sending needs a code.' : '');
    }
  }

  button.onclick = ask;
  letters.onclick = () => {
    input.inputMode = 'text';
    input.focus();
  };
  closing(dialog, () => {
    typed = input.value.trim();
    attempt(typed);
  });
  window.onhashchange = () => {
    const found = codeInAddress();
    if (found) attempt(found);
  };
  return { first: tried, follow };
}
