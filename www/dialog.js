/** Parts of the page, and its dialogs. Where browsers know none (Safari before 15.4, Firefox before 98) each is a box above the page. */

export const $ = (id) => document.getElementById(id);

export function show(dialog) {
  if (dialog.showModal) return dialog.showModal();
  dialog.classList.add('plain');
  dialog.setAttribute('open', '');
}

export function close(dialog) {
  if (dialog.close) dialog.close();
  else dialog.removeAttribute('open');
}

/** Closes it by a click beside it or on `.close`, or when its form is sent, before `onSubmit`. */
export function closing(dialog, onSubmit = () => {}) {
  dialog.onclick = ({ target }) => {
    if (target === dialog || target.className === 'close') close(dialog);
  };
  dialog.onsubmit = (event) => {
    event.preventDefault();
    close(dialog);
    onSubmit();
  };
}
