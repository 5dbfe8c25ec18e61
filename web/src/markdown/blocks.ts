// A growing Markdown text as a list of blocks of which only the last still changes. Finished blocks
// keep their identity, so that the page renders each of them once.
import { Marked, type Token, type Tokens } from 'marked';
import { mathExtensions } from './math_syntax';

export type Block =
  | { key: number; kind: 'html'; tokens: Token[]; raw: string }
  | { key: number; kind: 'code'; language: string; code: string; closed: boolean; raw: string }
  | { key: number; kind: 'math'; tex: string; raw: string }
  | { key: number; kind: 'rule'; raw: string };

export const marked = new Marked({ gfm: true, breaks: false, extensions: mathExtensions });

function toBlock(key: number, token: Token): Block | undefined {
  if (token.type === 'space' || token.type === 'def') return undefined;
  if (token.type === 'code' && (token as Tokens.Code).codeBlockStyle !== 'indented') {
    const code = token as Tokens.Code;
    return {
      key,
      kind: 'code',
      language: (code.lang ?? '').trim().split(/\s/u)[0] ?? '',
      code: code.text,
      closed: isClosedFence(code.raw),
      raw: code.raw,
    };
  }
  if (token.type === 'math_block') {
    return { key, kind: 'math', tex: (token as unknown as { text: string }).text, raw: token.raw };
  }
  if (token.type === 'hr') return { key, kind: 'rule', raw: token.raw };
  return { key, kind: 'html', tokens: [token], raw: token.raw };
}

function isClosedFence(raw: string): boolean {
  const lines = raw.trimEnd().split('\n');
  const open = /^\s*(`{3,}|~{3,})/u.exec(lines[0] ?? '')?.[1];
  const last = lines.length > 1 ? (lines.at(-1) ?? '').trim() : '';
  return open !== undefined && last.length >= open.length && last === open[0]?.repeat(last.length);
}

export class BlockList {
  blocks: Block[] = [];
  private finished = 0; // characters of the source in blocks that no longer change
  private finishedBlocks = 0;
  private source = '';
  private nextKey = 0;

  // Takes the whole text so far. When it only grew, finished blocks stay the same objects.
  update(source: string): Block[] {
    if (source === this.source) return this.blocks;
    if (!source.startsWith(this.source.slice(0, this.finished))) this.reset();
    this.source = source;
    const tokens = marked.lexer(source.slice(this.finished));
    const blocks = this.blocks.slice(0, this.finishedBlocks);
    const lastAt = lastContent(tokens);
    tokens.forEach((token, index) => {
      const block = toBlock(this.nextKey, token);
      if (block !== undefined) blocks.push(this.reuse(block));
      if (index >= lastAt) return;
      this.finished += token.raw.length;
      this.finishedBlocks = blocks.length;
      if (block !== undefined) ++this.nextKey;
    });
    this.blocks = blocks;
    return blocks;
  }

  // The block that is there already, when nothing of it changed.
  private reuse(block: Block): Block {
    const old = this.blocks.find((candidate) => candidate.key === block.key);
    return old !== undefined && old.raw === block.raw && old.kind === block.kind ? old : block;
  }

  private reset(): void {
    this.blocks = [];
    this.finished = 0;
    this.finishedBlocks = 0;
    ++this.nextKey;
  }
}

// Blank lines after the last block may still turn out to belong to it (a loose list, say).
function lastContent(tokens: Token[]): number {
  for (let i = tokens.length - 1; i >= 0; --i) {
    if (tokens[i]?.type !== 'space') return i;
  }
  return -1;
}
