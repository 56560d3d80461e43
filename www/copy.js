/** Copies messages: beside one that is tapped, or reached by Tab and the arrows, comes a button for it. */

import { button } from './bubble.js';

const STEPS = { ArrowUp: -1, ArrowDown: 1 };

/** Without TLS there is no `navigator.clipboard`. What could not be copied stays selected. */
function copy(text) {
  const give = (event) => {
    event.clipboardData.setData('text/plain', text.textContent);
    event.preventDefault();
  };
  getSelection().selectAllChildren(text);
  document.addEventListener('copy', give);
  const isCopied = document.execCommand('copy');
  document.removeEventListener('copy', give);
  if (isCopied) getSelection().removeAllRanges();
  return isCopied;
}

export function copying(area, complain) {
  const its = button('copy', 'Copy');
  let text;

  function offer(one) {
    if (!one) return;
    text = one;
    its.textContent = 'Copy';
    text.parentElement.append(its);
  }

  its.onclick = () => {
    if (copy(text)) its.textContent = 'Copied';
    else complain('This browser lets no page copy. The text is selected for you.');
  };
  area.addEventListener('click', ({ target }) => {
    const bubble = target.closest('.bubble');
    if (bubble && !target.closest('a, button') && getSelection().isCollapsed) offer(bubble.querySelector('.text'));
  });
  area.addEventListener('keyup', ({ target, key }) => {
    const texts = [...area.querySelectorAll('.text')];
    if (target === area && key === 'Tab') offer(texts.pop());
    if (target === its && STEPS[key]) {
      offer(texts[texts.indexOf(text) + STEPS[key]]);
      its.focus();
    }
  });
}
