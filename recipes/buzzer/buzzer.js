/**
 * The channel of the game. Its messages are lines of text:
 *
 *     round                a new round: nobody has buzzed yet
 *     stop                 no more buzzes count in this round
 *     buzz ID@ROUND NAME   an ID has the place of its first one in the round; ROUND is the number that the hub has given to
 *                          the message which began it, 0 before the first; without @ROUND it is the round that it comes in
 *
 * All pages see them in one order, the hub's. So they agree on who was first, whatever their clocks say.
 */

import { Foghorn } from '/foghorn.js';

const CHANNEL = '/c/buzzer';
/** So many of the last messages are read at the start: more than there are in a round. */
const HISTORY = 1000;
const SHOWN_MAX = 20;
/** More players than anybody has: a flood ends here. */
const BUZZES_MAX = 1000;

const BUZZ = /^buzz ([\w-]{1,16})(?:@(\d{1,15}))? (\S.{0,19})$/u;

const STATES = {
  connecting: 'Reconnecting…',
  waiting: 'Reconnecting…',
  unauthorized: 'This needs the code, at the end of the address: #CODE.',
  locked: 'Too many wrong codes. The next try is in a minute.',
};
const MAY_ONLY_WATCH = 'You may watch. To play, put the code at the end of the address: #CODE.';

export const buzz = (id, round, name) => `buzz ${id}@${round} ${name}`;

/** The code in the address, as people write it or as QR codes have it. */
export const code = () => location.hash.replace(/^#(code=)?/, '');

/** `buzzes` has the names by their ids, the first first: one that is set again keeps its place. */
const start = (round = 0) => ({ round, isOpen: true, buzzes: new Map() });

function play(game, text, seq) {
  if (text === 'round') return start(seq);
  if (text === 'stop') return { ...game, isOpen: false };
  const [, id, round = game.round, name] = BUZZ.exec(text) || [];
  const counts = name && game.isOpen && Number(round) === game.round;
  if (counts && (game.buzzes.has(id) || game.buzzes.size < BUZZES_MAX)) game.buzzes.set(id, name);
  return game;
}

/**
 * Calls `onGame(game)` whenever the game has changed, and `onState(sentence, state)` whenever the connection has. Returns the
 * connection.
 */
export function join({ onGame, onState }) {
  let game = start();
  let isNew = true;
  let isDue = false;
  /** Once a frame, however much comes. */
  function tell() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      onGame(game);
    });
  }
  const horn = new Foghorn(`${CHANNEL}?history=${HISTORY}`, {
    code: code(),
    onMessage(text, { seq }) {
      game = play(game, text, seq);
      if (horn.state === 'open') tell();
    },
    onState(state) {
      const { name, problem, hello, restarted, lost } = state;
      // Where the beginning is not known, a game may be under way that only its next round shows.
      if (name === 'resuming' && (isNew || restarted || lost)) {
        game = { ...start(), isOpen: hello.seq === 0 };
        isNew = false;
      }
      if (name === 'open' || restarted) onGame(game);
      document.body.dataset.state = name;
      onState((name === 'waiting' && problem) || (hello && hello.send === false && MAY_ONLY_WATCH) || STATES[name] || '', state);
    },
  });
  addEventListener('hashchange', () => horn.setCode(code()));
  onGame(game);
  return horn;
}

/** Shows who has buzzed, the first first. What is there already stays: it moves once, and is read aloud once. */
export function list(element, { buzzes }) {
  const names = [...buzzes.values()].slice(0, SHOWN_MAX);
  while (element.children.length > names.length) element.lastElementChild.remove();
  names.forEach((name, i) => {
    const item = element.children[i] || element.appendChild(document.createElement('li'));
    const text = item.firstChild || item.appendChild(document.createElement('bdi'));
    if (text.textContent !== name) text.textContent = name;
  });
}
