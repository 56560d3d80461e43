/** Finds the web addresses in a text. */

const ADDRESS = /\bhttps?:\/\/(?=[\p{L}\p{N}[])[^\s<>"“”]+/giu;
/** Enough for what people read; making links of a megabyte would freeze the page. */
const SEARCHED_CHARS = 20_000;

/** Punctuation after an address belongs to the sentence, and so does a bracket that was opened before it. */
function trim(address) {
  for (;;) {
    const last = address.at(-1);
    const opening = { ')': '(', ']': '[', '}': '{' }[last];
    const unbalanced = opening && address.split(opening).length < address.split(last).length;
    if (!unbalanced && !'.,;:!?\'*_~'.includes(last)) return address;
    address = address.slice(0, -1);
  }
}

/**
 * Cuts a text into pieces, which together are the text again.
 * @param {string} text
 * @returns {{ text: string, href?: string }[]}
 */
export function pieces(text) {
  const found = [];
  let end = 0;
  for (const match of text.slice(0, SEARCHED_CHARS).matchAll(ADDRESS)) {
    const address = trim(match[0]);
    if (match.index > end) found.push({ text: text.slice(end, match.index) });
    found.push({ text: address, href: address });
    end = match.index + address.length;
  }
  if (end < text.length) found.push({ text: text.slice(end) });
  return found;
}
