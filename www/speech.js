/** What a screen reader says: each message as it comes, but one sentence in place of a backlog or a burst. */

/** More at once are not read out one by one. */
const MAX_SPOKEN = 5;
const QUIET_MS = 1_000;

/** Minds the live region of the messages and speaks through one of its own. */
export class Speech {
  #area;
  #voice;
  #hushed = 0;
  #timer;

  /**
   * @param {HTMLElement} area the messages, `aria-live="polite"`
   * @param {HTMLElement} voice an unseen `role="status"`
   */
  constructor(area, voice) {
    this.#area = area;
    this.#voice = voice;
  }

  /** Says a sentence. */
  say(text) { this.#voice.textContent = text; }

  /** To be told before messages are added. */
  batch({ count, quietly }) {
    if (!quietly && count <= MAX_SPOKEN && !this.#hushed) return;
    this.#hushed += count;
    this.#area.setAttribute('aria-live', 'off');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#area.setAttribute('aria-live', 'polite');
      this.say(`${this.#hushed} messages came`);
      this.#hushed = 0;
    }, QUIET_MS);
  }
}
