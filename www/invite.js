/** The dialog that brings others here: a QR code, and addresses to type. */

import { element } from './bubble.js';
import { askServer } from './server.js';

const LOCAL_ONLY = /^(localhost|127\..*|\[::1\])$/;

/** Whether this address of the server's own is another way to what is seen `here`, and not one around a proxy. */
function leadsHere(address, here) {
  const { protocol, port, pathname, hostname } = new URL(address);
  const isSame = protocol === here.protocol && port === here.port && pathname === here.pathname;
  return isSame && hostname !== here.hostname && !LOCAL_ONLY.test(hostname);
}

/** Where browsers know no dialogs (Safari before 15.4, Firefox before 98) it is a box above the page. */
function show(dialog) {
  if (dialog.showModal) return dialog.showModal();
  dialog.classList.add('plain');
  dialog.setAttribute('open', '');
}

function close(dialog) {
  if (dialog.close) dialog.close();
  else dialog.removeAttribute('open');
}

export function invite() {
  const part = (name) => document.getElementById(`invite${name}`);
  const dialog = part('');
  const here = new URL('.', location.href);
  const { href, protocol, pathname } = here;

  part('-open').addEventListener('click', async () => {
    // The server draws its own Host, and knows of no proxy in front.
    part('-code').src = `qr.svg?scheme=${protocol.slice(0, -1)}&path=${encodeURIComponent(pathname)}`;
    part('-code').alt = `QR code of ${href}`;
    part('-local').hidden = !LOCAL_ONLY.test(location.hostname);
    part('-addresses').textContent = '';
    part('-addresses').append(element('li', '', href));
    show(dialog);
    // Older Androids do not resolve names under .local: the number works for all.
    const { address } = await askServer() || {};
    if (address && leadsHere(address, here)) part('-addresses').append(element('li', '', address));
  });
  dialog.addEventListener('click', ({ target }) => target === dialog && close(dialog));
  dialog.addEventListener('submit', (event) => {
    event.preventDefault();
    close(dialog);
  });

  part('-share').hidden = !navigator.share;
  part('-share').addEventListener('click', () => navigator.share({ url: href }).catch(() => {}));
}
