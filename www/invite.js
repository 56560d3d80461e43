/** The dialog that brings others here: a QR code, and addresses to type. */

import { element } from './bubble.js';
import { askServer } from './server.js';

const LOCAL_ONLY = /^(localhost|127\..*|\[::1\])$/;

export function invite() {
  const part = (name) => document.getElementById(`invite${name}`);
  const dialog = part('');
  const here = new URL('.', location.href).href;

  part('-open').addEventListener('click', async () => {
    part('-code').src = 'qr.svg';
    part('-code').alt = `QR code of ${here}`;
    part('-local').hidden = !LOCAL_ONLY.test(location.hostname);
    part('-addresses').replaceChildren(element('li', '', here));
    dialog.showModal();
    // Older Androids do not resolve names under .local: the number works for all.
    const address = (await askServer())?.address;
    if (address && address !== here) part('-addresses').append(element('li', '', address));
  });
  dialog.addEventListener('click', ({ target }) => target === dialog && dialog.close());

  part('-share').hidden = !navigator.share;
  part('-share').addEventListener('click', () => navigator.share({ url: here }).catch(() => {}));
}
