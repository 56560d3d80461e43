/** Photos to send, scaled until they fit. Drawn anew, they do not tell any more where they were taken. */

import { $ } from './dialog.js';

/** The backlog of the server holds several. */
const MAX_BYTES = 256 * 1024;
const MAX_SIDE_PX = 1600;
const MIN_SIDE_PX = 64;

/** As JPEG; undefined if nothing worth a look fits. */
async function scale(image, side, maxBytes) {
  const canvas = document.createElement('canvas');
  const pen = canvas.getContext('2d');
  const size = [image.width, image.height].map((one, _, all) => Math.ceil(one * side / Math.max(side, ...all)));
  [canvas.width, canvas.height] = size;
  pen.fillStyle = '#fff';
  pen.fillRect(0, 0, ...size);
  pen.drawImage(image, 0, 0, ...size);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/jpeg', 0.8));
  if (blob.size <= maxBytes) return new Response(blob).arrayBuffer();
  if (side > MIN_SIDE_PX) return scale(image, side * 0.8, maxBytes);
}

/** Gives the photos that are chosen to `send`. */
export function camera(outbox, send, complain) {
  const [button, input] = ['photo-open', 'photo'].map($);

  async function take(file) {
    const image = new Image();
    const src = URL.createObjectURL(file);
    button.setAttribute('aria-busy', true);
    try {
      await new Promise((resolve, reject) => Object.assign(image, { onload: resolve, onerror: reject, src }));
      const data = await scale(image, MAX_SIDE_PX, Math.min(MAX_BYTES, outbox.maxBytes));
      if (data) send(data);
      else complain('This server takes too few bytes at once for a photo.');
    } catch {
      complain(`This browser cannot read ${file.name}; JPEG and PNG work.`);
    }
    button.removeAttribute('aria-busy');
    URL.revokeObjectURL(src);
  }

  button.onclick = () => input.click();
  input.onchange = () => {
    take(input.files[0]);
    input.value = '';
  };
}
