/** The page: joins the connection, the outbox and what is seen of them. */

import { camera } from './camera.js';
import { channel, here, keepAsking } from './channel.js';
import { channels } from './channels.js';
import { coding } from './code.js';
import { copying } from './copy.js';
import { $ } from './dialog.js';
import { Foghorn } from './foghorn.js';
import { invite } from './invite.js';
import { Outbox } from './outbox.js';
import { awake, naming } from './settings.js';
import { speaking } from './speech.js';
import { View } from './view.js';
import { countUnread, stayAboveKeyboard } from './window.js';

const [area, status, people, error, form, input] =
  ['received-area', 'status', 'people', 'error-message', 'form', 'send-input'].map($);

if (channel) {
  document.title = `${channel} – Foghorn`;
  $('channel').textContent = channel;
}

const speech = speaking(area, $('voice'));
const view = new View(area, $('jump'), { onBatch: speech.batch, onAgain: send });
const outbox = new Outbox((data) => horn.send(data), (item) => {
  view.update(item);
  speech.follow(item);
});
const unread = countUnread();
const named = naming(input);
const code = coding((one) => horn.setCode(one));
const horn = new Foghorn(here.href, { code: code.first, onMessage, onState });
let countdown;

function onMessage(data, { resumed }) {
  if (outbox.takeBack(data)) return;
  view.receive(data, resumed);
  unread();
}

function onState(state) {
  clearInterval(countdown);
  outbox.follow(state);
  if (state.name === 'connecting') tell('Connecting…');
  if (state.name === 'resuming') greet(state);
  if (state.name === 'unauthorized') tell('Needs a code', 'out');
  if (state.retryAt) {
    const count = () => tell(untilNextTry(state.retryAt));
    countdown = setInterval(count, 500);
    count();
    if (state.name === 'waiting' && state.problem) complain(`${state.problem} Trying again.`);
  }
  code.follow(state);
}

function greet({ hello, restarted, why, lost }) {
  tell('Connected');
  complain('');
  showPeople(hello.clients);
  countPages(hello.clients);
  $('greeting').textContent = hello.greeting;
  if (restarted) beginAnew(why);
  if (lost > 0) view.note(lost === 1 ? '1 message was missed' : `${lost} messages were missed`);
}

function beginAnew(why) {
  const isDeleted = why.includes('deleted');
  if (isDeleted) view.clear();
  // Who was away is not told which: a restart, a deletion, or a channel that was forgotten.
  view.note(isDeleted ? 'The messages were deleted' : 'The conversation has begun anew');
}

function untilNextTry(retryAt) {
  return navigator.onLine ? `Reconnecting in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s` : 'Offline';
}

function tell(text, state = 'off') {
  const on = text === 'Connected';
  if (on === people.hidden) speech.say(on ? text : 'Connection lost');
  people.hidden = !on;
  status.textContent = text;
  document.body.dataset.state = on ? 'on' : state;
}

function showPeople(clients) { people.textContent = clients > 1 ? `${clients} here` : 'just you'; }

function complain(text) {
  error.textContent = text;
  error.hidden = text === '';
}

function send(data) {
  const objection = outbox.objection(data);
  if (typeof data === 'string') input.focus();
  complain(objection);
  if (objection) return false;
  const item = outbox.add(data);
  view.add(item);
  outbox.flush();
  if (item.state === 'waiting') speech.follow(item);
  if (horn.state === 'waiting') horn.check();
  return true;
}

function submit(event) {
  event.preventDefault();
  if (input.value !== '' && send(named(input.value))) input.value = '';
}
form.onsubmit = submit;

let shifted = false;
function sendByEnter(event) {
  if (!shifted && !event.isComposing) submit(event);
}
input.onkeydown = (event) => {
  shifted = event.shiftKey;
  if (event.key === 'Enter') sendByEnter(event);
};
// Some keyboards on screens tell of nothing else.
input.addEventListener('beforeinput', (event) => event.inputType === 'insertLineBreak' && sendByEnter(event));

window.onbeforeunload = (event) => {
  if (outbox.isEmpty) return;
  event.preventDefault();
  event.returnValue = 'unsent'; // what Chrome asks for up to 118
};

const countPages = keepAsking(({ clients, epoch, head }) => {
  showPeople(clients);
  horn.compare(epoch, head);
  outbox.flush(); // what could not go while a try that came to nothing was under way
});
camera(outbox, send, complain);
copying(area, complain);
awake();
channels();
invite();
stayAboveKeyboard();
document.body.dataset.state = 'off'; // started: `too-old.js` looks at it
