/** The channel that the page is of: its address, and what the server says of it. */

const [, name = ''] = location.pathname.match(/\/c\/([\w-]{1,64})$/) || [];

/** Its name, as everybody writes it; '' is the main one. */
export const channel = name.toLowerCase();

/** The address of a channel, below the prefix of a proxy too. */
export const addressOf = (one) => new URL(one && `c/${one}`, new URL(name ? '..' : '.', location.href));

export const here = addressOf(channel);

/** So often asks a page that is not alone in its channel, and none of these more often. */
const EVERY_MS = 20000;
const FIRST_MS = 5000;
/** So often asks one that is: it shows the second within 3 s. */
const ALONE_MS = 2500;
/** Between the questions of all pages together: 20 a second. */
const APART_MS = 50;

export async function ask(url) {
  try {
    return await (await fetch(url, { cache: 'no-store' })).json();
  } catch { /* the connection tells of that */ }
}

/**
 * Calls `tell` with fresh figures of the channel now and then, while the page is looked at.
 *
 * A round is the time in which each page could ask once, 20 of them a second: clients of the server × 50 ms. A page waits
 * for a round, or for 20 s if that is longer, and then for a random part of a further round, which spreads even pages that
 * began in the same moment (so it does before the first time, after 5 s). A page that comes back into view asks at once if
 * it has not for 20 s: people look up one by one, and for what was hidden longer a new connection is the greater cost.
 *
 * Pages that are alone are no more than there are channels, so their round is channels × 50 ms: with up to 50 of them each
 * asks every 2.5 s, however many others there are. The screen, which is on then, takes far more.
 *
 * @returns {(clients: number) => void} takes what a hello says
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
