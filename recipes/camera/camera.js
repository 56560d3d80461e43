/** What the page of the phones and the wall share. */

export const CHANNEL = '/c/camera';

export const STATES = {
  connecting: 'Connecting…',
  resuming: 'Connecting…',
  open: 'Connected',
  waiting: 'Reconnecting…',
  unauthorized: 'This needs the code, at the end of the address: #CODE',
  locked: 'Too many wrong codes. The next try is in a minute.',
};

export const codeInAddress = () => location.hash.replace(/^#(code=)?/, '');
