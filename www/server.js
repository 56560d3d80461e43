/** What the server says of itself in `/status`: asked rarely, and only for a page that is looked at. */

const EVERY_MS = 20_000;

export async function askServer() {
  try {
    return await (await fetch('status', { cache: 'no-store' })).json();
  } catch { /* the connection tells of that */ }
}

/** Calls `tell` with a fresh status now and then. */
export function keepAsking(tell) {
  let due = 0;
  const ask = async () => {
    if (document.hidden || Date.now() < due) return;
    due = Date.now() + EVERY_MS;
    const status = await askServer();
    if (status) tell(status);
  };
  setInterval(ask, EVERY_MS / 4);
  document.addEventListener('visibilitychange', ask);
}
