// The public API, as any other client sees it. URLs are relative to the page, so that a prefix in
// front of the server works.
import { SseParser } from './sse';
import type { Usage } from '../store/types';

export class ApiError extends Error {
  constructor(
    message: string,
    readonly status: number, // 0: the server could not be reached
    readonly param?: string,
  ) {
    super(message);
  }
}

export interface ModelInfo {
  id: string;
  owned_by?: string;
  max_model_len?: number;
  root?: string;
  status?: { state?: string; progress?: number; error?: string };
  meta?: { architecture?: string; parameters?: number; weight_bytes?: number };
}

export interface ChatMessage {
  role: string;
  content: string;
}

export interface ChatRequest {
  model: string;
  messages: ChatMessage[];
  [field: string]: unknown;
}

export interface StreamHandler {
  onText(text: string): void;
  onReasoning(text: string): void;
  onRequest?(id: string): void; // "chatcmpl-..."
  onChunk?(chunk: Record<string, unknown>): void;
}

export interface StreamEnd {
  finish_reason: string;
  usage?: Usage;
  ignored: string[];
}

interface Chunk {
  id?: string;
  choices?: {
    delta?: { content?: string | null; reasoning_content?: string | null; reasoning?: string | null };
    finish_reason?: string | null;
  }[];
  usage?: {
    prompt_tokens?: number;
    completion_tokens?: number;
    prompt_tokens_details?: { cached_tokens?: number };
    completion_tokens_details?: { reasoning_tokens?: number };
  } | null;
  error?: { message?: string; param?: string };
  x_ignored?: string[];
}

function usageOf(usage: NonNullable<Chunk['usage']>): Usage {
  return {
    prompt_tokens: usage.prompt_tokens ?? 0,
    completion_tokens: usage.completion_tokens ?? 0,
    cached_tokens: usage.prompt_tokens_details?.cached_tokens ?? 0,
    reasoning_tokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}

export class ApiClient {
  key = '';

  url(path: string): string {
    return new URL(path, document.baseURI).href;
  }

  async fetch(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.key) headers.set('Authorization', `Bearer ${this.key}`);
    if (init.body) headers.set('Content-Type', 'application/json');
    let response: Response;
    try {
      response = await fetch(this.url(path), { ...init, headers, credentials: 'same-origin' });
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      throw new ApiError('unreachable', 0);
    }
    if (!response.ok) throw await this.errorOf(response);
    return response;
  }

  private async errorOf(response: Response): Promise<ApiError> {
    try {
      const { error } = (await response.json()) as { error?: { message?: string; param?: string } };
      if (error?.message) return new ApiError(error.message, response.status, error.param);
    } catch {
      // Not ours: a proxy's page, say.
    }
    return new ApiError(`HTTP ${response.status}`, response.status);
  }

  async models(signal?: AbortSignal): Promise<ModelInfo[]> {
    const response = await this.fetch('v1/models', { signal });
    const { data } = (await response.json()) as { data?: ModelInfo[] };
    return data ?? [];
  }

  async metrics(signal?: AbortSignal): Promise<string> {
    return (await this.fetch('metrics', { signal })).text();
  }

  async countTokens(model: string, messages: ChatMessage[], signal?: AbortSignal): Promise<number> {
    const body = JSON.stringify({ model, messages });
    const response = await this.fetch('tokenize', { method: 'POST', body, signal });
    return ((await response.json()) as { count?: number }).count ?? 0;
  }

  async finishThinking(request_id: string): Promise<void> {
    await this.fetch(`v1/requests/${encodeURIComponent(request_id)}/finish_thinking`, {
      method: 'POST',
    });
  }

  async streamChat(
    request: ChatRequest,
    handler: StreamHandler,
    signal: AbortSignal,
  ): Promise<StreamEnd> {
    const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } });
    const response = await this.fetch('v1/chat/completions', { method: 'POST', body, signal });
    if (!response.body) throw new ApiError('the reply has no body', response.status);
    const reader = response.body.getReader();
    const parser = new SseParser();
    const end: StreamEnd = { finish_reason: '', ignored: [] };
    for (;;) {
      const { done, value } = await this.read(reader, signal);
      if (done) break;
      for (const { data } of parser.push(value)) {
        if (data === '[DONE]') return end;
        this.take(JSON.parse(data) as Chunk, handler, end);
      }
    }
    throw new ApiError('the connection ended before the answer did', 0);
  }

  private async read(reader: ReadableStreamDefaultReader<Uint8Array>, signal: AbortSignal) {
    try {
      return await reader.read();
    } catch (cause) {
      if (signal.aborted) throw cause;
      throw new ApiError('the connection was lost', 0);
    }
  }

  private take(chunk: Chunk, handler: StreamHandler, end: StreamEnd): void {
    if (chunk.error) throw new ApiError(chunk.error.message ?? 'failed', 500, chunk.error.param);
    if (chunk.id) handler.onRequest?.(chunk.id);
    handler.onChunk?.(chunk as Record<string, unknown>);
    if (chunk.usage) end.usage = usageOf(chunk.usage);
    if (chunk.x_ignored) end.ignored = chunk.x_ignored;
    const choice = chunk.choices?.[0];
    if (!choice) return;
    const reasoning = choice.delta?.reasoning_content ?? choice.delta?.reasoning;
    if (reasoning) handler.onReasoning(reasoning);
    if (choice.delta?.content) handler.onText(choice.delta.content);
    if (choice.finish_reason) end.finish_reason = choice.finish_reason;
  }
}
