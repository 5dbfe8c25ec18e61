// Substring search that treats every script alike: text is folded (width, case, accents kept), and
// a query's words must all occur. Two Chinese characters are found anywhere, also inside words.

export function fold(text: string): string {
  return text.normalize('NFKC').toLowerCase();
}

export function wordsOf(query: string): string[] {
  return fold(query).split(/\s+/u).filter((word) => word.length > 0).slice(0, 16);
}

const BEFORE = 24;
const AFTER = 60;

export interface Snippet {
  snippet: string;
  start: number;
  length: number;
}

// The surroundings of the first word in the (unfolded) text; undefined when it does not occur.
export function snippetOf(text: string, word: string): Snippet | undefined {
  // Folding may change lengths; look in the lower-cased text, whose offsets are those of the text.
  const lower = text.toLowerCase();
  const sameOffsets = lower.length === text.length;
  const at = (sameOffsets ? lower : text).indexOf(word);
  if (at < 0) return undefined;
  const from = Math.max(0, at - BEFORE);
  const head = from > 0 ? '…' : '';
  const body = text.slice(from, at + word.length + AFTER).replace(/\s/gu, ' ');
  const tail = at + word.length + AFTER < text.length ? '…' : '';
  return { snippet: head + body + tail, start: at - from + head.length, length: word.length };
}
