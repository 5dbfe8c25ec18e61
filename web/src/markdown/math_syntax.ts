// TeX in Markdown: $...$, $$...$$, \(...\) and \[...\]. A dollar before a digit and a space, as in
// prices, is not math.
import type { TokenizerAndRendererExtension } from 'marked';

const INLINE = /^\$(?!\s)((?:\\.|[^\\$\n])+?)(?<!\s)\$(?!\d)|^\\\(([\s\S]+?)\\\)/u;
const BLOCK = /^ {0,3}(?:\$\$([\s\S]+?)\$\$|\\\[([\s\S]+?)\\\])[ \t]*(?:\n+|$)/u;

export const mathExtensions: TokenizerAndRendererExtension[] = [
  {
    name: 'math_block',
    level: 'block',
    start: (source) => source.match(/\n {0,3}(?:\$\$|\\\[)/u)?.index,
    tokenizer(source) {
      const match = BLOCK.exec(source);
      if (!match) return undefined;
      return { type: 'math_block', raw: match[0], text: (match[1] ?? match[2] ?? '').trim() };
    },
  },
  {
    name: 'math_inline',
    level: 'inline',
    start: (source) => source.match(/\$|\\\(/u)?.index,
    tokenizer(source) {
      const match = INLINE.exec(source);
      if (!match) return undefined;
      return { type: 'math_inline', raw: match[0], text: match[1] ?? match[2] ?? '' };
    },
  },
];
