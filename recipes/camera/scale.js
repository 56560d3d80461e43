/** A photo as a JPEG that is small enough to send. */

const SIDE_MAX = 1600;
/** Smaller than this it is no photo any more. */
const SIDE_MIN = 100;
const QUALITIES = [0.85, 0.7, 0.55];

/** As an image element, since that knows which side is up, in old browsers too. */
function load(file) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    const url = URL.createObjectURL(file);
    const end = (act, value) => {
      URL.revokeObjectURL(url);
      act(value);
    };
    image.onload = () => end(resolve, image);
    image.onerror = () => end(reject, new Error('This is not an image that this phone can read.'));
    image.src = url;
  });
}

function draw(image, side) {
  const factor = Math.min(1, side / Math.max(image.naturalWidth, image.naturalHeight));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(image.naturalWidth * factor));
  canvas.height = Math.max(1, Math.round(image.naturalHeight * factor));
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff'; // a JPEG has no transparency
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

const encode = (canvas, quality) => new Promise((resolve) => { canvas.toBlob(resolve, 'image/jpeg', quality); });

const read = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsArrayBuffer(blob);
});

/** Returns `{ bytes, canvas }`, with at most so many bytes, or throws an error for people. */
export async function scale(file, bytesMax) {
  const image = await load(file);
  for (let side = SIDE_MAX; side >= SIDE_MIN; side *= 0.75) {
    const canvas = draw(image, side);
    for (const quality of QUALITIES) {
      const blob = await encode(canvas, quality);
      if (blob && blob.size <= bytesMax) return { bytes: await read(blob), canvas };
    }
  }
  throw new Error('This photo is too large, however small it is made.');
}
