// Server-sent events from a byte stream (WHATWG HTML section 9.2.6): lines end in CR, LF or CRLF,
// an empty line ends an event, lines that start with a colon are comments.

export const MAX_EVENT_CHARS = 8 << 20;

export interface ServerEvent {
  id: string;
  event: string;
  data: string;
}

export class SseParser {
  private buffer = '';
  private data: string[] = [];
  private event = '';
  private id = '';
  private size = 0;
  private readonly decoder = new TextDecoder();

  // All events that these bytes complete.
  push(bytes: Uint8Array): ServerEvent[] {
    this.buffer += this.decoder.decode(bytes, { stream: true });
    const out: ServerEvent[] = [];
    let from = 0;
    for (;;) {
      const end = this.lineEnd(from);
      if (end === undefined) break;
      const event = this.line(this.buffer.slice(from, end.at));
      if (event) out.push(event);
      from = end.next;
    }
    this.buffer = this.buffer.slice(from);
    if (this.buffer.length + this.size > MAX_EVENT_CHARS) throw new Error('an event is too long');
    return out;
  }

  private lineEnd(from: number): { at: number; next: number } | undefined {
    for (let i = from; i < this.buffer.length; ++i) {
      const c = this.buffer.charCodeAt(i);
      if (c === 10) return { at: i, next: i + 1 };
      if (c !== 13) continue;
      // A CR at the end may be half of a CRLF.
      if (i + 1 === this.buffer.length) return undefined;
      return { at: i, next: this.buffer.charCodeAt(i + 1) === 10 ? i + 2 : i + 1 };
    }
    return undefined;
  }

  private line(line: string): ServerEvent | undefined {
    if (line === '') return this.dispatch();
    const colon = line.indexOf(':');
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const rest = colon < 0 ? '' : line.slice(colon + 1);
    const value = rest.startsWith(' ') ? rest.slice(1) : rest;
    if (field === 'data') {
      this.data.push(value);
      this.size += value.length;
    }
    if (field === 'event') this.event = value;
    if (field === 'id') this.id = value;
    return undefined;
  }

  private dispatch(): ServerEvent | undefined {
    const event = { id: this.id, event: this.event || 'message', data: this.data.join('\n') };
    const has = this.data.length > 0;
    this.data = [];
    this.size = 0;
    this.event = '';
    return has ? event : undefined;
  }
}
