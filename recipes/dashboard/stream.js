/** The channel as a stream of JSON lines: with times, and without a gap when the line breaks. */

/** The server says something every 25 s, an empty line if need be. */
const SILENCE_MS = 60000;
const RETRY_MS = 2000;
/** Where there is no place, or too many wrong codes have come from here. */
const RETRY_LATER_MS = 60000;

/**
 * Calls `onMessage({ text, at })` for each text, `at` by this device's clock; `onStart()` where what was said before is no more, as
 * the channel's messages were deleted or the server has begun anew; and `onState(name, sentence)`.
 */
export function listen({ channel, history, code, onMessage, onStart, onState }) {
  let position = null; // of the last message: epoch and number
  let skewMs = 0; // what this device's clock is ahead of the server's: a board may have no clock
  let giveUp = () => {};

  function take(line) {
    const { epoch, seq, at, text } = JSON.parse(line);
    if (epoch) { // a hello: the first line, and wherever numbers begin anew
      if (position && position.epoch !== epoch) onStart();
      position = { epoch, seq };
      return onState('open', 'Connected');
    }
    position.seq = seq;
    if (text === undefined) return;
    // A message from the future: the board has learned the time meanwhile.
    skewMs = Math.min(skewMs, Date.now() - at * 1000);
    onMessage({ text, at: at * 1000 + skewMs });
  }

  /** Follows it to its end; then how long to wait, and why. */
  async function follow() {
    const abort = new AbortController();
    giveUp = () => abort.abort();
    let watch = setTimeout(giveUp, SILENCE_MS);
    try {
      const query = [`as=json&history=${history}`, position && `after=${position.epoch}:${position.seq}`, code && `code=${code}`];
      const answer = await fetch(`${channel}?${query.filter(Boolean).join('&')}`, { signal: abort.signal });
      // A code that was refused is never tried again.
      if (answer.status === 401) return [Infinity, 'unauthorized', 'This needs the code, at the end of the address: #CODE'];
      if (!answer.ok) return [RETRY_LATER_MS, 'waiting', await answer.text()];
      skewMs = Date.now() - Date.parse(answer.headers.get('Date'));
      const reader = answer.body.getReader();
      const decoder = new TextDecoder();
      for (let rest = ''; ;) {
        const { done, value } = await reader.read();
        if (done) return [RETRY_MS];
        clearTimeout(watch);
        watch = setTimeout(giveUp, SILENCE_MS);
        const lines = (rest + decoder.decode(value, { stream: true })).split('\n');
        rest = lines.pop();
        lines.filter(Boolean).forEach(take);
      }
    } finally {
      clearTimeout(watch);
      abort.abort();
    }
  }

  async function followForEver() {
    const [waitMs, state = 'waiting', problem = 'Reconnecting…'] = await follow().catch(() => [RETRY_MS]);
    onState(state, problem);
    if (waitMs < Infinity) setTimeout(followForEver, waitMs * (0.5 + Math.random() / 2));
  }
  followForEver();

  // A phone that has slept, or has found another network, may have a dead line and not know it.
  window.addEventListener('online', () => giveUp());
  document.addEventListener('visibilitychange', () => document.hidden || giveUp());
}
