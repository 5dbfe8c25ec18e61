// One answer being written: counts, times and text, published to the page once per frame.
import { ApiError, type ApiClient, type ChatRequest, type StreamEnd } from '../api/client';
import type { Timings } from '../store/types';
import { refusedField } from './request';

export interface StepInfo {
  index: number;
  count: number;
  name: string; // of the section; empty for the outline
}

export class Run {
  // What the page shows; all change at most once per frame.
  text = $state('');
  reasoning = $state('');
  tokens = $state(0);
  rate = $state(0);
  phase = $state<'waiting' | 'thinking' | 'answering'>('waiting');
  step = $state.raw<StepInfo | undefined>(undefined);
  requestId = $state('');

  readonly controller = new AbortController();
  readonly notes = new Set<string>();
  readonly startedAt = performance.now();
  thinking: { mode: string; reason: string } | undefined;
  onFrame: (() => void) | undefined;

  private bufferedText: string;
  private bufferedReasoning: string;
  private bufferedTokens = 0;
  private firstAt = 0;
  private answerAt = 0;
  private frame = 0;

  constructor(
    readonly conversation_id: string,
    readonly item_id: string,
    text = '',
    reasoning = '',
  ) {
    this.bufferedText = this.text = text;
    this.bufferedReasoning = this.reasoning = reasoning;
  }

  stop(): void {
    this.controller.abort();
  }

  get fullText(): string {
    return this.bufferedText;
  }
  get fullReasoning(): string {
    return this.bufferedReasoning;
  }

  timings(): Timings {
    const now = performance.now();
    const thought = this.bufferedReasoning !== '' ? (this.answerAt || now) - this.firstAt : undefined;
    return {
      ttft_ms: Math.round((this.firstAt || now) - this.startedAt),
      total_ms: Math.round(now - this.startedAt),
      thinking_ms: thought === undefined ? undefined : Math.round(thought),
    };
  }

  append(text: string): void {
    this.bufferedText += text;
    this.schedule();
  }

  // Sends a request and appends what comes. Optional fields that the server refuses are dropped and
  // noted, and the request is sent again.
  async stream(client: ApiClient, request: ChatRequest, unsupported: Set<string>): Promise<StreamEnd> {
    const body = { ...request };
    for (const field of unsupported) {
      if (!(field in body)) continue;
      delete body[field];
      this.notes.add(field);
    }
    for (;;) {
      try {
        return await client.streamChat(body, this.handler(), this.controller.signal);
      } catch (error) {
        const field = error instanceof ApiError && error.status === 400 ? refusedField(body, error.param) : undefined;
        if (field === undefined || field === 'continue_final_message') throw error;
        delete body[field];
        unsupported.add(field);
        this.notes.add(field);
      }
    }
  }

  private handler() {
    return {
      onText: (text: string) => {
        this.count();
        if (this.answerAt === 0) this.answerAt = performance.now();
        this.bufferedText += text;
        this.schedule();
      },
      onReasoning: (text: string) => {
        this.count();
        this.bufferedReasoning += text;
        this.schedule();
      },
      onRequest: (id: string) => {
        if (this.requestId !== id) this.requestId = id;
      },
      onChunk: (chunk: Record<string, unknown>) => {
        const report = chunk.x_thinking as { mode?: string; reason?: string } | undefined;
        if (report?.mode) this.thinking = { mode: report.mode, reason: report.reason ?? '' };
      },
    };
  }

  private count(): void {
    if (this.firstAt === 0) this.firstAt = performance.now();
    ++this.bufferedTokens;
  }

  private schedule(): void {
    if (this.frame !== 0) return;
    // A hidden page has no frames; it is brought up to date when it is shown or the answer ends.
    this.frame = requestAnimationFrame(() => this.flush());
  }

  flush(): void {
    if (this.frame !== 0) cancelAnimationFrame(this.frame);
    this.frame = 0;
    this.text = this.bufferedText;
    this.reasoning = this.bufferedReasoning;
    this.tokens = this.bufferedTokens;
    const seconds = (performance.now() - this.firstAt) / 1000;
    this.rate = this.bufferedTokens > 1 && seconds > 0.2 ? (this.bufferedTokens - 1) / seconds : 0;
    this.phase = this.answerAt > 0 || this.bufferedText !== '' ? 'answering' : this.firstAt > 0 ? 'thinking' : 'waiting';
    this.onFrame?.();
  }
}
