// The shapes of a conversation, as /v1/conversations will have them: a conversation object and its
// items, each item pointing at the one before it, so that edits and retries are branches of a tree.

export type Role = 'system' | 'user' | 'assistant';
export type ItemStatus = 'in_progress' | 'completed' | 'incomplete' | 'failed';
export type ThinkingMode = 'off' | 'auto' | 'on';

export interface Attachment {
  name: string;
  type: string; // media type
  bytes: number;
  text: string;
  truncated?: boolean;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number;
  reasoning_tokens: number;
}

export interface Timings {
  ttft_ms: number; // request sent to first token
  total_ms: number;
  thinking_ms?: number;
}

export interface Item {
  id: string;
  object: 'conversation.item';
  conversation_id: string;
  parent_id: string | null;
  role: Role;
  status: ItemStatus;
  created_at: number; // unix milliseconds
  content: string;
  reasoning?: string;
  attachments?: Attachment[];
  workflow?: string; // id of the workflow that made the request
  shown?: string; // what the user typed, when the workflow sent more than that
  model?: string;
  finish_reason?: string;
  error?: string;
  notes?: string[]; // request fields that the server does not know yet
  usage?: Usage;
  timings?: Timings;
}

export interface Sampler {
  temperature?: number;
  top_p?: number;
  top_k?: number;
  min_p?: number;
  repetition_penalty?: number;
  max_tokens?: number;
  seed?: number;
}

export interface ConversationSettings {
  model?: string;
  system?: string;
  preset: string; // id of a sampler preset, or "custom"
  sampler: Sampler;
  thinking: ThinkingMode;
  thinking_budget?: number;
}

export interface Conversation {
  id: string;
  object: 'conversation';
  created_at: number;
  updated_at: number;
  title: string;
  title_source: 'none' | 'first_message' | 'user';
  pinned: boolean;
  temporary: boolean;
  settings: ConversationSettings;
  leaf_id: string | null; // the end of the branch that is shown
}

export interface SearchHit {
  conversation: Conversation;
  snippet: string;
  start: number; // of the match within the snippet; -1: the title matched
  length: number;
}

// Where conversations live. Every call may fail with an Error whose message can be shown.
export interface ConversationStore {
  list(): Promise<Conversation[]>; // newest change first
  get(id: string): Promise<Conversation | undefined>;
  put(conversation: Conversation): Promise<void>;
  remove(id: string): Promise<void>; // with its items
  clear(): Promise<void>;
  items(conversation_id: string): Promise<Item[]>; // oldest first
  putItems(items: Item[]): Promise<void>;
  removeItems(conversation_id: string, ids: string[]): Promise<void>;
  search(query: string, limit: number): Promise<SearchHit[]>;
}
