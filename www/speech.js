/** What a screen reader says: each message as it comes, but one sentence in place of a backlog or a burst. */

const MAX_AT_ONCE = 5;
const QUIET_MS = 1_000;

/** Minds the live region of the messages, and speaks through one of its own. */
export function speaking(area, voice) {
  let hushed = 0;
  let timer;
  const say = (text) => { voice.textContent = text; };

  /** To be told before messages are added. */
  function batch({ count, quietly }) {
    if (!quietly && count <= MAX_AT_ONCE && !hushed) return;
    hushed += count;
    area.setAttribute('aria-live', 'off');
    clearTimeout(timer);
    timer = setTimeout(() => {
      area.setAttribute('aria-live', 'polite');
      say(`${hushed} messages came`);
      hushed = 0;
    }, QUIET_MS);
  }

  return { say, batch };
}
