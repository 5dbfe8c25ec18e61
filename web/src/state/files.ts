// Dropped and pasted files: text kinds are read here; others wait for the server's readers.
import type { Attachment } from '../store/types';

export const MAX_FILES = 10;
export const MAX_FILE_BYTES = 8 << 20;
export const MAX_FILE_CHARS = 200_000; // of one file that a model is shown

export class FileProblem extends Error {
  constructor(
    readonly kind: 'refused' | 'too_big',
    readonly file: string,
  ) {
    super(`${file}: ${kind}`);
  }
}

// Text has no NUL and is valid in its encoding: UTF-8, UTF-16 with a mark, or GB18030.
export function decodeText(bytes: Uint8Array): string | undefined {
  const [a, b] = bytes;
  const encoding = a === 0xff && b === 0xfe ? 'utf-16le' : a === 0xfe && b === 0xff ? 'utf-16be' : undefined;
  if (encoding) return new TextDecoder(encoding).decode(bytes);
  if (bytes.includes(0)) return undefined;
  for (const name of ['utf-8', 'gb18030']) {
    try {
      const text = new TextDecoder(name, { fatal: true }).decode(bytes);
      // Control characters mean that it only happens to decode.
      if (!/[\u0001-\u0008\u000e-\u001a\u001c-\u001f]/u.test(text.slice(0, 4096))) return text;
    } catch {
      // Not this encoding.
    }
  }
  return undefined;
}

export async function readFile(file: File): Promise<Attachment> {
  if (file.size > MAX_FILE_BYTES) throw new FileProblem('too_big', file.name);
  const text = decodeText(new Uint8Array(await file.arrayBuffer()));
  if (text === undefined) throw new FileProblem('refused', file.name);
  const name = file.name || 'text.txt';
  return {
    name,
    type: file.type || 'text/plain',
    bytes: file.size,
    text: text.slice(0, MAX_FILE_CHARS),
    truncated: text.length > MAX_FILE_CHARS || undefined,
  };
}
