/**
 * The channel of the vote. Its messages:
 *
 *     {"question":"Pizza or pasta?","options":["Pizza","Pasta"]}   a new question with 2 to 8 options
 *     vote ID@QUESTION N   for option N, from 1 on; of each ID the last one counts. QUESTION is the number that the hub has
 *                          given to the question's message; without @QUESTION it is for the question that it comes after
 *     close                no more votes count
 *
 * All pages see them in one order, the hub's, and count for themselves.
 */

import { Foghorn } from '/foghorn.js';

const CHANNEL = '/c/vote';
/** So many of the last messages are read at the start: more than there are votes for a question. */
const HISTORY = 10000;

const OPTIONS_MAX = 8;
/** More than anybody has: a flood ends here. */
const VOTERS_MAX = 20000;
const VOTE = /^vote ([\w-]{1,16})(?:@(\d{1,15}))? ([1-8])$/;

const STATES = {
  connecting: 'Reconnecting…',
  waiting: 'Reconnecting…',
  unauthorized: 'This needs the code, at the end of the address: #CODE.',
  locked: 'Too many wrong codes. The next try is in a minute.',
};
const MAY_ONLY_WATCH = 'You may watch. To vote, put the code at the end of the address: #CODE.';

export const vote = (id, number, option) => `vote ${id}@${number} ${option + 1}`;

/** The code in the address, as people write it or as QR codes have it. */
export const code = () => location.hash.replace(/^#(code=)?/, '');

/** `votes` has the options, from 0 on, by the ids of those who chose them. */
const start = (number = 0, question = '', options = []) => ({ number, question, options, isOpen: number > 0, votes: new Map() });

/** The question with its options if they can be asked, or null. */
export function readQuestion(question, options) {
  const isText = (text, length) => typeof text === 'string' && text.trim() !== '' && text.length <= length;
  const isGood = isText(question, 200) && Array.isArray(options) && options.length >= 2 && options.length <= OPTIONS_MAX
    && options.every((option) => isText(option, 60));
  return isGood ? { question, options } : null;
}

function readMessage(text) {
  try {
    const { question, options } = JSON.parse(text);
    return readQuestion(question, options);
  } catch {
    return null;
  }
}

function count(poll, text, seq) {
  if (text === 'close') return { ...poll, isOpen: false };
  const [, id, number = poll.number, option] = VOTE.exec(text) || [];
  if (id) {
    const counts = poll.isOpen && Number(number) === poll.number && option <= poll.options.length;
    if (counts && (poll.votes.has(id) || poll.votes.size < VOTERS_MAX)) poll.votes.set(id, option - 1);
    return poll;
  }
  const asked = readMessage(text);
  return asked ? start(seq, asked.question, asked.options) : poll;
}

/**
 * Calls `onPoll(poll)` whenever the vote has changed, and `onState(sentence, state)` whenever the connection has. Returns the
 * connection.
 */
export function join({ onPoll, onState }) {
  let poll = start();
  let isDue = false;
  /** Once a frame, however much comes. */
  function tell() {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      onPoll(poll);
    });
  }
  const horn = new Foghorn(`${CHANNEL}?history=${HISTORY}`, {
    code: code(),
    onMessage(text, { seq }) {
      poll = count(poll, text, seq);
      if (horn.state === 'open') tell();
    },
    onState(state) {
      const { name, problem, hello, restarted, lost } = state;
      // Where some are lost, the rest tells of a whole vote or of none.
      if (restarted || lost) poll = start();
      if (name === 'open' || restarted) onPoll(poll);
      document.body.dataset.state = name;
      onState((name === 'waiting' && problem) || (hello && hello.send === false && MAY_ONLY_WATCH) || STATES[name] || '', state);
    },
  });
  addEventListener('hashchange', () => horn.setCode(code()));
  onPoll(poll);
  return horn;
}

const plural = (n, what) => `${n} ${what}${n === 1 ? '' : 's'}`;

/** How it stands, or how it has ended. */
function result({ options, isOpen, votes }, counts) {
  const most = Math.max(...counts);
  const winners = options.filter((option, i) => counts[i] === most);
  if (isOpen || !options.length) return '';
  if (!votes.size) return 'Nobody has voted.';
  return winners.length > 1 ? `A tie: ${winners.join(', ')}` : `${winners[0]} wins.`;
}

let drawn = null;

/** Shows the vote in the elements of the page, with an element of this kind for each option; `mine` is one's own. */
export function draw(poll, kind, mine) {
  const [question, list, total, outcome] = ['question', 'options', 'total', 'result'].map((id) => document.getElementById(id));
  const counts = poll.options.map(() => 0);
  poll.votes.forEach((chosen) => { counts[chosen] += 1; });
  if (drawn !== poll.options) {
    drawn = poll.options;
    question.textContent = poll.question || 'Waiting for a question';
    list.textContent = '';
    for (const option of poll.options) {
      const row = list.appendChild(document.createElement('li')).appendChild(document.createElement(kind));
      for (const part of ['bar', 'option', 'figures']) row.appendChild(document.createElement('span')).className = part;
      row.children[1].textContent = option;
    }
  }
  counts.forEach((votes, i) => {
    const percent = Math.round((100 * votes) / (poll.votes.size || 1));
    const row = list.children[i].firstChild;
    row.firstChild.style.width = `${percent}%`;
    row.lastChild.textContent = `${plural(votes, 'vote')}, ${percent}%`;
    row.classList.toggle('most', !poll.isOpen && votes > 0 && votes === Math.max(...counts));
    if (kind === 'button') row.setAttribute('aria-pressed', i === mine);
  });
  list.classList.toggle('closed', !poll.isOpen);
  total.textContent = poll.options.length ? plural(poll.votes.size, 'vote') : '';
  const words = result(poll, counts);
  if (outcome.textContent !== words) outcome.textContent = words;
}
