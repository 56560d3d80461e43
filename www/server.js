/** What the server tells about itself in `/status`, asked rarely and only for a page that is looked at. */

const EVERY_MS = 30_000;

/** @returns {Promise<object | null>} */
export async function askServer() {
  try {
    const answer = await fetch('status', { cache: 'no-store' });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** Calls `tell` with a fresh status now and then while the page is visible. */
export function keepAsking(tell) {
  let due = 0;
  const ask = async () => {
    if (document.hidden || Date.now() < due) return;
    due = Date.now() + EVERY_MS;
    const status = await askServer();
    if (status) tell(status);
  };
  setInterval(ask, EVERY_MS / 6);
  document.addEventListener('visibilitychange', ask);
}
