/** The dialog that brings others here: a QR code, addresses to type, and who was refused lately. */

import { element } from './bubble.js';
import { addressOf, ask, channel, code, here, withCode } from './channel.js';
import { $, closing, show } from './dialog.js';

/** Older refusals do not matter. */
const RECENT_SECS = 600;
const REFUSALS_SHOWN_MAX = 3;

const LOCAL_ONLY = /^(localhost|127\..*|\[::1\])$/;

/** This channel by an address of the server's own, unless that leads to this machine only, or around a proxy. */
function otherWay(address) {
  const way = new URL(channel && `c/${channel}`, address);
  const isSame = ['protocol', 'port', 'pathname'].every((part) => way[part] === here[part]);
  return isSame && way.hostname !== here.hostname && !LOCAL_ONLY.test(way.hostname) ? way.href : '';
}

const ago = (seconds) => (seconds < 60 ? 'just now' : `${Math.floor(seconds / 60)} min ago`);

/** Of the device's words only what nobody on the web can choose. */
function reason({ header, value, isLocal, why }) {
  const flag = (name) => element('span', 'flag', name);
  if (header === 'Host') return ['it used a name that the server does not go by. ', flag('--allow-host'), ' can add it; ', flag('/status'), ' has it.'];
  if (header !== 'Origin') return [`it was told “${why}”`];
  if (!value) return ['its Origin cannot be read.'];
  if (!isLocal) return ['it came from elsewhere. ', flag('/status'), ' says from where.'];
  return ['it came from ', element('code', '', value), ', which ', flag('--allow-origin'), ' can let in.'];
}

function refusalLine(refusal) {
  const { secondsAgo, times } = refusal;
  const line = element('p', '', `A device was refused ${times > 1 ? `${times} times, last ` : ''}${ago(secondsAgo)}: `);
  line.append(...reason(refusal));
  return line;
}

export function invite() {
  const part = (name) => $(`invite${name}`);
  const dialog = part('');
  const { href, protocol, pathname } = here;
  const box = part('-with');
  const given = () => (box.checked ? code() : '');
  let ways;

  function fill() {
    // The server knows of no proxy in front.
    part('-code').src = `qr.svg?scheme=${protocol.slice(0, -1)}&path=${encodeURIComponent(pathname)}${given() && `&code=${given()}`}`;
    part('-code').alt = `QR code of ${withCode(href, given())}`;
    part('-addresses').textContent = '';
    part('-addresses').append(...ways.map((way) => element('li', '', withCode(way, given()))));
  }
  box.onchange = fill;

  part('-open').onclick = async () => {
    box.checked = true;
    box.parentElement.hidden = !code();
    ways = [href];
    fill();
    part('-local').hidden = !LOCAL_ONLY.test(location.hostname);
    show(dialog);
    const { address, refusals = [] } = await ask(new URL('status', addressOf(''))) || {};
    const recent = refusals.filter(({ secondsAgo }) => secondsAgo < RECENT_SECS).slice(0, REFUSALS_SHOWN_MAX);
    part('-refusals').textContent = '';
    part('-refusals').append(...recent.map(refusalLine));
    // Older Androids do not resolve .local: the number works for all.
    const way = address && otherWay(address);
    ways = [href, way].filter(Boolean);
    fill();
  };
  closing(dialog);

  part('-share').hidden = !navigator.share;
  part('-share').onclick = () => navigator.share({ url: withCode(href, given()) }).catch(() => {});
}
