/** The dialog that brings others here: a QR code, and addresses to type. */

import { askServer } from './server.js';

const LOCAL_ONLY = /^(localhost|127\..*|\[::1\])$/;

function show(address) {
  const line = document.createElement('li');
  line.textContent = address;
  return line;
}

/** Wires the button, the dialog and what is in it. */
export function inviting() {
  const [dialog, code, addresses, share, hint] = ['invite', 'invite-code', 'invite-addresses', 'invite-share', 'invite-local']
    .map((id) => document.getElementById(id));
  const here = new URL('.', location.href).href;

  document.getElementById('invite-open').addEventListener('click', async () => {
    code.src = 'qr.svg';
    code.alt = `QR code of ${here}`;
    hint.hidden = !LOCAL_ONLY.test(location.hostname);
    addresses.replaceChildren(show(here));
    dialog.showModal();
    // Older Androids do not resolve names under .local: the number works for all.
    const address = (await askServer())?.address;
    if (address && address !== here) addresses.append(show(address));
  });
  dialog.addEventListener('click', ({ target }) => target === dialog && dialog.close());

  share.hidden = !navigator.share;
  share.addEventListener('click', () => navigator.share({ title: document.title, url: here }).catch(() => {}));
}
