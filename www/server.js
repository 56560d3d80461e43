/** What the server says of itself in `/status`: asked rarely, and only for a page that is looked at. */

/** So often asks a page that is alone, and none more often. */
const EVERY_MS = 20000;
const FIRST_MS = 5000;
/** Between the questions of all pages together: 20 a second. */
const APART_MS = 50;

export async function askServer() {
  try {
    return await (await fetch('status', { cache: 'no-store' })).json();
  } catch { /* the connection tells of that */ }
}

/**
 * Calls `tell` with a fresh status now and then.
 *
 * A round is the time in which each page could ask once, 20 of them a second: clients × 50 ms. A page waits for a round, or
 * for 20 s if that is longer, and then for a random part of a further round, which spreads even pages that began in the
 * same moment (so it does before the first time, after 5 s). A page that comes back into view asks at once if it has not
 * for 20 s: people look up one by one, and for what was hidden longer a new connection is the greater cost.
 *
 * @returns {(clients: number) => void} takes what a hello says
 */
export function keepAsking(tell) {
  let round = 0;
  let asked = 0;
  let timer;
  const wait = (ms) => {
    clearTimeout(timer);
    timer = setTimeout(ask, ms + Math.random() * round);
  };
  const count = (clients) => { round = clients < 1e6 ? clients * APART_MS : 0; };

  async function ask() {
    if (document.hidden) return;
    asked = Date.now();
    wait(Math.max(EVERY_MS, round));
    const status = await askServer();
    if (!status) return;
    count(status.clients);
    wait(Math.max(EVERY_MS, round));
    tell(status);
  }

  wait(FIRST_MS);
  document.addEventListener('visibilitychange', () => Date.now() - asked >= EVERY_MS && ask());
  return (clients) => {
    count(clients);
    if (!asked) wait(FIRST_MS);
  };
}
