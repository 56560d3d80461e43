/** The channel that the page is of: its address, its code, what this device keeps, and what the server says of it. */

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

/** What is kept from visit to visit under a word, or as the code of a path; '' is none. */
export const kept = (key) => store[`foghorn ${key}`] || '';
export const keep = (key, value) => { store[`foghorn ${key}`] = value; };

/** The code that lets us in here. */
export const code = () => kept(here.pathname);

/** With a code where no server sees it. */
export const withCode = (url, one) => url + (one && `#code=${one}`);

/** To a channel that may have the same code. */
export function wayTo(one) {
  const url = addressOf(one);
  return withCode(url, kept(url.pathname) ? '' : code());
}

export const request = (url, options) =>
  fetch(url, { cache: 'no-store', headers: code() ? { Authorization: `Bearer ${code()}` } : {}, ...options });

/** Between the questions of a page, at least. */
const EVERY_MS = 20000;
const FIRST_MS = 5000;
/** Of one that is alone: it shows the second within 3 s. */
const ALONE_MS = 2500;
/** Between the questions of all pages together: 20 a second. */
const APART_MS = 50;

export async function ask(url) {
  try {
    return await (await request(url)).json();
  } catch { /* the connection tells of that */ }
}

/**
 * Calls `tell` with fresh figures of the channel now and then, while the page is looked at. What it returns takes the
 * `clients` of a hello.
 *
 * In a round each page could ask once, 20 a second. A page waits for a round, at least 20 s, and a random part of another;
 * if it is alone for a round of the channels, as no more pages are.
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
