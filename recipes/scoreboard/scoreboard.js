/**
 * The channel of the board. A message is the whole score, so the last one is what the board shows:
 *
 *     {"home":{"name":"Reds","score":2},"away":{"name":"Blues","score":1},"version":7,"by":"k3x9"}
 *
 * Of two that were made from the same score at the same moment only the first counts: its version is taken. Who sent the
 * other sees that, and sends the change anew. One without a version always counts.
 */

import { Foghorn } from '/foghorn.js';

const CHANNEL = '/c/scoreboard';
/** The last of these that can be read is the score: anybody may have sent anything since. */
const HISTORY = 100;

export const MAX_SCORE = 999;
const NAME_LENGTH = 24;
/** After these it begins anew with 0, which always counts. */
const VERSIONS = 1e6;

const START = { home: { name: 'Home', score: 0 }, away: { name: 'Away', score: 0 }, version: 0 };
/** Of a score of which we have not seen all that led to it. What is made from it always counts, as its version is 0. */
const UNKNOWN = -1;

const STATES = {
  connecting: 'Reconnecting…',
  waiting: 'Reconnecting…',
  unauthorized: 'This needs the code, at the end of the address: #CODE.',
  locked: 'Too many wrong codes. The next try is in a minute.',
};

const isCount = (value, max) => Number.isInteger(value) && value >= 0 && value <= max;

function team({ name, score }) {
  if (typeof name !== 'string' || !isCount(score, MAX_SCORE)) throw new TypeError('no team');
  return { name: name.slice(0, NAME_LENGTH), score };
}

/** The score that a message is, or null. */
function read(text) {
  try {
    const { home, away, version = 0, by } = JSON.parse(text);
    return isCount(version, VERSIONS - 1) ? { home: team(home), away: team(away), version, by } : null;
  } catch {
    return null;
  }
}

/** The message for a score that was made from the one of this version. */
export const message = ({ home, away }, version, by) => JSON.stringify({ home, away, version: (version + 1) % VERSIONS, by });

const codeInAddress = () => location.hash.replace(/^#(code=)?/, '');

/**
 * Calls `onScore(score, { said, isNews })` for each message that can be read (`said`, which is the `score` if it counts), and
 * `onState(sentence, state)` whenever the connection changes. Returns the connection.
 */
export function join({ onScore, onState }) {
  let score = START;
  let isNew = true;
  const horn = new Foghorn(`${CHANNEL}?history=${HISTORY}`, {
    code: codeInAddress(),
    onMessage(text, { resumed }) {
      const said = read(text);
      if (!said) return;
      if (said.version === 0 || said.version > score.version) score = said;
      onScore(score, { said, isNews: !resumed });
    },
    onState(state) {
      const { name, hello, restarted, lost } = state;
      document.body.dataset.state = name;
      const isOther = name === 'resuming' && (isNew || restarted || lost);
      if (restarted) score = START;
      if (isOther && hello.seq > 0) score = { ...score, version: UNKNOWN };
      if (isOther) isNew = false;
      onState((name === 'waiting' && state.problem) || STATES[name] || '', state);
      if (isOther) onScore(score, { said: score, isNews: false });
    },
  });
  addEventListener('hashchange', () => horn.setCode(codeInAddress()));
  onScore(score, { said: score, isNews: false });
  return horn;
}
