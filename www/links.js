/** Finds the web addresses in a text. */

/** Brackets belong to it in pairs only, and the punctuation after it to the sentence. */
const ADDRESS = /\bhttps?:\/\/(?:[^\s()<>"“”]|\([^\s()<>]*\))*(?:\([^\s()<>]*\)|[^\s()<>"“”.,;:!?'*_~[\]{}/]\/?)/gi;
/** Making links of a megabyte would freeze the page. */
const SEARCHED_CHARS = 20000;

/** Cuts a text into pieces, each with whether it is a link. */
export function pieces(text) {
  const found = [];
  let end = 0;
  // `matchAll` is too new.
  text.slice(0, SEARCHED_CHARS).replace(ADDRESS, (piece, index) => {
    found.push({ piece: text.slice(end, index), isLink: false }, { piece, isLink: true });
    end = index + piece.length;
  });
  found.push({ piece: text.slice(end), isLink: false });
  return found;
}
