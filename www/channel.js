/** The channel that the page is of: its address, its code, and what the server says of it. */

const [, name = ''] = location.pathname.match(/\/c\/([\w-]{1,64})$/) || [];

/** Its name, as everybody writes it; '' is the main one. */
export const channel = name.toLowerCase();

/** The address of a channel, below the prefix of a proxy too. */
export const addressOf = (one) => new URL(one && `c/${one}`, new URL(name ? '..' : '.', location.href));

export const here = addressOf(channel);

let store = {};
try {
  store = localStorage || store;
} catch { /* forbidden: kept as long as the page */ }

const codeOf = ({ pathname }) => store[`foghorn ${pathname}`] || '';

/** The code that lets us in here, kept from visit to visit; '' is none. */
export const code = () => codeOf(here);
export const keep = (one) => { store[`foghorn ${here.pathname}`] = one; };

/** With a code where no server sees it. */
export const withCode = (url, one) => url + (one && `#code=${one}`);

/** To a channel that may have the same code. */
export function wayTo(one) {
  const url = addressOf(one);
  return withCode(url, codeOf(url) ? '' : code());
}

export const request = (url, options) =>
  fetch(url, { cache: 'no-store', headers: code() ? { Authorization: `Bearer ${code()}` } : {}, ...options });

/** So often at most asks a page that is not alone. */
const EVERY_MS = 20000;
const FIRST_MS = 5000;
/** So often asks one that is: it shows the second within 3 s. */
const ALONE_MS = 2500;
/** Between the questions of all pages together: 20 a second. */
const APART_MS = 50;

export async function ask(url) {
  try {
    return await (await request(url)).json();
  } catch { /* the connection tells of that */ }
}

/**
 * Calls `tell` with fresh figures of the channel now and then, while the page is looked at.
 *
 * A round is the time in which each page could ask once, 20 a second. A page waits for a round, or for 20 s if that is
 * longer, and for a random part of a further one, which spreads pages that began in the same moment. One that comes back
 * into view asks at once if it has not for 20 s: people look up one by one. Of pages that are alone there are no more than
 * channels, so these make their round: with up to 50 each asks every 2.5 s.
 * What it returns takes the `clients` of a hello.
 */
export function keepAsking(tell) {
  let server = {};
  let round = 0;
  let every = EVERY_MS;
  let asked = 0;
  let timer;
  const wait = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(askNow, ms + Math.random() * round);
  };
  const roundOf = (count) => (count < 1e6 ? count * APART_MS : 0);
  const count = (clients) => {
    const isAlone = clients === 1;
    round = isAlone ? 0 : roundOf(Math.max(clients, server.clients || 0));
    every = isAlone ? Math.max(ALONE_MS, roundOf(server.channels)) : Math.max(EVERY_MS, round);
  };

  async function askNow() {
    timer = 0;
    if (document.hidden) return;
    asked = Date.now();
    wait(Math.max(EVERY_MS, every));
    if (document.body.dataset.state === 'out') return;
    const status = await ask(new URL('?status', here));
    if (status) server = status.server || {};
    // Without an answer nobody knows who is here.
    count(status ? status.clients : 0);
    wait(every);
    if (status) tell(status);
  }

  wait(FIRST_MS);
  document.addEventListener('visibilitychange', () => {
    const passed = Date.now() - asked;
    if (passed >= Math.min(every, EVERY_MS)) askNow();
    else if (!timer) wait(every - passed);
  });
  return (clients) => {
    count(clients);
    if (!asked || clients === 1) wait(Math.min(FIRST_MS, every));
  };
}
