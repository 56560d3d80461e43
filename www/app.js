/** The page: joins the connection, the outbox and what is seen of them. */

import { Foghorn } from './foghorn.js';
import { inviting } from './invite.js';
import { stayAboveKeyboard } from './keyboard.js';
import { Outbox } from './outbox.js';
import { keepAsking } from './server.js';
import { Speech } from './speech.js';
import { countUnread } from './unread.js';
import { View } from './view.js';

const $ = (id) => document.getElementById(id);
const [status, people, error, form, input] = ['status', 'people', 'error-message', 'form', 'send-input'].map($);

const speech = new Speech($('received-area'), $('voice'));
const view = new View($('received-area'), $('jump'), {
  onBatch: (batch) => speech.batch(batch),
  onAgain: (item) => send(item.text),
});
const outbox = new Outbox((text) => horn.send(text), (item) => view.update(item));
const unread = countUnread();
const horn = new Foghorn('.', { onMessage, onState });

let countdown;
let connected = false;

function onMessage(data, { resumed }) {
  if (outbox.takeBack(data)) return;
  view.receive(data, resumed);
  unread();
}

function onState(state) {
  clearInterval(countdown);
  if (state.name === 'resuming') greet(state);
  if (state.name === 'connecting') tell('Connecting…');
  if (state.name === 'waiting') {
    const count = () => tell(waitingFor(state.retryAt));
    countdown = setInterval(count, 500);
    count();
    if (state.problem) complain(`${state.problem} Trying again.`);
  }
  outbox.follow(state);
}

function greet({ hello, restarted, lost }) {
  tell('Connected');
  complain('');
  showPeople(hello.clients);
  $('greeting').textContent = hello.greeting ?? '';
  const missed = lost === 1 ? '1 message was missed' : `${lost} messages were missed`;
  if (restarted) view.note(lost ? `The server was restarted, ${missed}` : 'The server was restarted');
  else if (lost) view.note(missed);
}

function waitingFor(retryAt) {
  if (!navigator.onLine) return 'Offline';
  return `Reconnecting in ${Math.max(1, Math.ceil((retryAt - Date.now()) / 1000))} s`;
}

function tell(text) {
  const now = text === 'Connected';
  if (now !== connected) speech.say(now ? 'Connected' : 'Connection lost. Reconnecting.');
  connected = now;
  status.textContent = text;
  document.body.dataset.state = now ? 'on' : 'off';
  people.hidden = !now;
}

function showPeople(clients) {
  people.textContent = clients > 1 ? `${clients} here` : 'just you';
}

function complain(text) {
  error.textContent = text;
  error.hidden = text === '';
}

function send(text) {
  const objection = outbox.objection(text);
  complain(objection);
  if (objection) return false;
  view.add(outbox.add(text));
  outbox.flush();
  if (horn.state === 'waiting') horn.check();
  return true;
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  if (input.value !== '' && send(input.value)) input.value = '';
  input.focus();
});
// Enter on a keyboard comes as a key; some on-screen keyboards only tell of the line that they are about to break.
let shifted = false;
input.addEventListener('keydown', (event) => {
  shifted = event.shiftKey;
  if (event.key !== 'Enter' || shifted || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
input.addEventListener('beforeinput', (event) => {
  if (event.inputType !== 'insertLineBreak' || shifted || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
window.addEventListener('beforeunload', (event) => {
  if (!outbox.isEmpty) event.preventDefault();
});

keepAsking(({ clients, epoch, messages }) => {
  showPeople(clients);
  horn.compare(epoch, messages);
});
inviting();
stayAboveKeyboard();
