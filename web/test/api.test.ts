import { afterEach, describe, expect, it, vi } from 'vitest';
import { ApiClient, ApiError } from '../src/api/client';
import { parseMetrics } from '../src/api/prometheus';
import { MAX_EVENT_CHARS, SseParser } from '../src/api/sse';
import { Run } from '../src/chat/run.svelte';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('SseParser', () => {
  const stream = ': hi\ndata: {"a":1}\n\ndata: two\r\ndata: lines\r\n\r\nevent: x\rid: 7\rdata:三\r\r';
  const want = [
    { id: '', event: 'message', data: '{"a":1}' },
    { id: '', event: 'message', data: 'two\nlines' },
    { id: '7', event: 'x', data: '三' },
  ];
  it.each([1, 2, 3, 5, 1000])('reads events from pieces of %i bytes', (size) => {
    const parser = new SseParser();
    const all = bytes(`${stream}\n`);
    const got = [];
    for (let at = 0; at < all.length; at += size) got.push(...parser.push(all.slice(at, at + size)));
    expect(got).toEqual(want);
  });
  it('gives nothing for an unfinished event', () => expect(new SseParser().push(bytes('data: x\n'))).toEqual([]));
  it('refuses an event without end', () => {
    const parser = new SseParser();
    expect(() => parser.push(bytes('x'.repeat(MAX_EVENT_CHARS)))).not.toThrow();
    expect(() => parser.push(bytes('x'))).toThrow('too long');
  });
});

function reply(body: string, status = 200): Response {
  return new Response(body, { status });
}

function sse(...events: unknown[]): string {
  return events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('');
}

const delta = (value: object, finish: string | null = null) => ({ id: 'chatcmpl-1', choices: [{ delta: value, finish_reason: finish }] });

describe('ApiClient', () => {
  afterEach(() => vi.unstubAllGlobals());
  const quiet = { onText: () => undefined, onReasoning: () => undefined };
  const stream = (client: ApiClient, handler = quiet) =>
    client.streamChat({ model: 'm', messages: [] }, handler, new AbortController().signal);

  it('streams text, reasoning, usage and the reason of the end', async () => {
    const fetch = vi.fn(async () =>
      reply(sse(delta({ role: 'assistant', content: '' }), delta({ reasoning_content: 'hm' }), delta({ content: 'a' }), delta({ content: 'b' }), delta({}, 'stop'), { choices: [], usage: { prompt_tokens: 3, completion_tokens: 4, prompt_tokens_details: { cached_tokens: 2 } } }, '[DONE]')),
    );
    vi.stubGlobal('fetch', fetch);
    const client = new ApiClient();
    client.key = 'sk';
    let text = '';
    let reasoning = '';
    const end = await stream(client, { onText: (piece: string) => (text += piece), onReasoning: (piece: string) => (reasoning += piece) } as never);
    expect([text, reasoning, end.finish_reason]).toEqual(['ab', 'hm', 'stop']);
    expect(end.usage).toEqual({ prompt_tokens: 3, completion_tokens: 4, cached_tokens: 2, reasoning_tokens: 0 });
    const [url, init] = fetch.mock.calls[0] as unknown as [string, RequestInit];
    expect(url).toBe(new URL('v1/chat/completions', document.baseURI).href);
    expect(new Headers(init.headers).get('Authorization')).toBe('Bearer sk');
    expect(JSON.parse(String(init.body))).toMatchObject({ stream: true, stream_options: { include_usage: true } });
  });
  it('a stream without its end is an error', async () => {
    vi.stubGlobal('fetch', async () => reply(sse(delta({ content: 'a' }))));
    await expect(stream(new ApiClient())).rejects.toThrow('ended before');
  });
  it('an error inside a stream is an error', async () => {
    vi.stubGlobal('fetch', async () => reply(sse({ error: { message: 'broken', param: 'x' } })));
    await expect(stream(new ApiClient())).rejects.toMatchObject({ message: 'broken', param: 'x' });
  });
  it('errors carry the message, the status and the field', async () => {
    vi.stubGlobal('fetch', async () => reply('{"error":{"message":"no","param":"top_k"}}', 400));
    await expect(stream(new ApiClient())).rejects.toMatchObject({ message: 'no', status: 400, param: 'top_k' });
    vi.stubGlobal('fetch', async () => reply('<html>', 502));
    await expect(stream(new ApiClient())).rejects.toMatchObject({ message: 'HTTP 502', status: 502 });
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('failed');
    });
    await expect(stream(new ApiClient())).rejects.toMatchObject({ status: 0 });
  });
});

describe('Run', () => {
  it('drops optional fields that the server refuses, one by one, and remembers them', async () => {
    const sent: object[] = [];
    const client = {
      streamChat: async (request: Record<string, unknown>) => {
        sent.push(request);
        for (const field of ['thinking_budget', 'enable_thinking']) {
          if (field in request) throw new ApiError('no', 400, field);
        }
        return { finish_reason: 'stop', ignored: [] };
      },
    } as unknown as ApiClient;
    const unsupported = new Set<string>();
    const run = new Run('c', 'i');
    await run.stream(client, { model: 'm', messages: [], enable_thinking: 'auto', thinking_budget: 5 }, unsupported);
    expect(sent).toHaveLength(3);
    expect(sent[2]).toEqual({ model: 'm', messages: [] });
    expect([...run.notes].sort()).toEqual(['enable_thinking', 'thinking_budget']);
    const again = new Run('c', 'i');
    await again.stream(client, { model: 'm', messages: [], enable_thinking: 'auto' }, unsupported);
    expect(sent).toHaveLength(4);
    expect([...again.notes]).toEqual(['enable_thinking']);
  });
  it('passes other errors on', async () => {
    const client = { streamChat: async () => Promise.reject(new ApiError('bad', 400, 'messages')) } as unknown as ApiClient;
    await expect(new Run('c', 'i').stream(client, { model: 'm', messages: [] }, new Set())).rejects.toThrow('bad');
  });
});

describe('parseMetrics', () => {
  it('sums over labels and skips comments', () => {
    const metrics = parseMetrics('# HELP a b\na{x="1"} 2\na{x="2"} 3.5\nb 1e3\nc NaN\n');
    expect([...metrics]).toEqual([['a', 5.5], ['b', 1000]]);
  });
});
