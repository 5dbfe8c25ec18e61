// From a branch of a conversation to the body of a chat request.
import type { ChatMessage, ChatRequest } from '../api/client';
import type { ConversationSettings, Item, Sampler } from '../store/types';
import type { Workflow } from '../workflows/workflows';

// Fields that not every server knows: refused ones are left out and named beside the answer.
export const OPTIONAL_FIELDS = [
  'enable_thinking',
  'thinking_budget',
  'continue_final_message',
  'add_generation_prompt',
  'min_p',
  'top_k',
  'repetition_penalty',
];

export function messagesOf(path: Item[], system: string): ChatMessage[] {
  const messages: ChatMessage[] = system.trim() === '' ? [] : [{ role: 'system', content: system }];
  for (const item of path) {
    // An answer that never came is nothing to go on from.
    if (item.role === 'assistant' && item.content === '') continue;
    messages.push({ role: item.role, content: item.content });
  }
  return messages;
}

export function systemOf(settings: ConversationSettings, workflow: Workflow | undefined): string {
  return [workflow?.system, settings.system].filter((text) => text?.trim()).join('\n\n');
}

export function buildRequest(
  model: string,
  messages: ChatMessage[],
  settings: ConversationSettings,
  sampler: Sampler,
): ChatRequest {
  const request: ChatRequest = { model, messages };
  request.enable_thinking = settings.thinking === 'auto' ? 'auto' : settings.thinking === 'on';
  if (settings.thinking !== 'off' && settings.thinking_budget !== undefined) {
    request.thinking_budget = settings.thinking_budget;
  }
  // The user's own choice wins over the workflow's.
  for (const [name, value] of Object.entries({ ...sampler, ...settings.sampler })) {
    if (value !== undefined) request[name] = value;
  }
  return request;
}

// The optional field that an error blames, "stop[0]" counting as "stop".
export function refusedField(request: ChatRequest, param: string | undefined): string | undefined {
  const name = param?.split(/[.[]/u)[0];
  return OPTIONAL_FIELDS.find((field) => field === name && field in request);
}

export function titleOf(text: string): string {
  const line = text.split('\n').find((candidate) => candidate.trim() !== '') ?? '';
  const plain = line.replace(/^[#>\-*\s]+/u, '').replace(/[`*_]/gu, '').trim();
  const letters = Array.from(plain);
  return letters.length > 48 ? `${letters.slice(0, 47).join('').trimEnd()}…` : plain;
}
