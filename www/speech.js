/**
 * What a screen reader says: each message, one sentence in place of a burst, and of one's own only what is not expected:
 * that one was not sent, or after all when it had to wait.
 */

const MAX_AT_ONCE = 5;
const QUIET_MS = 1000;

const OUTCOMES = { sent: 'sent', refused: 'not sent', unsure: 'maybe not sent' };

export function speaking(area, voice) {
  let hushed = 0;
  let timer;
  const late = new Set(); // one's own that wait
  const outcomes = new Map(); // state → how many of one's own
  const say = (text) => { voice.textContent = text; };

  function sayAll() {
    const sentences = [...outcomes].map(([state, count]) =>
      `${count === 1 ? 'Your message' : `${count} of your messages`}: ${OUTCOMES[state]}`);
    if (hushed > 0) sentences.push(`${hushed} messages came`);
    area.setAttribute('aria-live', 'polite');
    say(sentences.join('. '));
    hushed = 0;
    outcomes.clear();
  }

  /** When it is quiet; what became of one's own does not wait for that. */
  function sayLater() {
    if (outcomes.size > 0) return;
    clearTimeout(timer);
    timer = setTimeout(sayAll, QUIET_MS);
  }

  /** Before messages are added. */
  function batch({ count, quietly }) {
    if (!quietly && count <= MAX_AT_ONCE && !hushed) return;
    hushed += count;
    area.setAttribute('aria-live', 'off');
    sayLater();
  }

  /** Takes the states of one's own messages, the first only of those that wait. */
  function follow(item) {
    const { state } = item;
    if (state === 'waiting') late.add(item);
    if (!OUTCOMES[state]) return;
    const hasWaited = late.delete(item);
    if (state === 'sent' && !hasWaited) return;
    sayLater();
    outcomes.set(state, (outcomes.get(state) || 0) + 1);
  }

  return { say, batch, follow };
}
