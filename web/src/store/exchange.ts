// Export and import. Every file that leaves the page says that its content is AI-generated.
import { pathTo } from '../chat/tree';
import { newId } from './ids';
import type { Conversation, Item } from './types';

export const FORMAT = 'yunqi.conversations';
export const FORMAT_VERSION = 1;
export const MAX_IMPORT_BYTES = 64 << 20;
export const MAX_IMPORT_CONVERSATIONS = 20_000;
export const MAX_IMPORT_ITEMS = 10_000; // of one conversation

export interface Exported {
  conversation: Conversation;
  items: Item[];
}

export interface ExportFile {
  format: typeof FORMAT;
  version: number;
  exported_at: string;
  ai_generated: true;
  notice: string;
  conversations: Exported[];
}

export function toJson(conversations: Exported[], notice: string, now: Date): string {
  const file: ExportFile = {
    format: FORMAT,
    version: FORMAT_VERSION,
    exported_at: now.toISOString(),
    ai_generated: true,
    notice,
    conversations,
  };
  return `${JSON.stringify(file, null, 2)}\n`;
}

export interface MarkdownWords {
  notice: string;
  user: string;
  assistant: string;
  thinking: string;
  untitled: string;
}

// The branch that is shown, as one Markdown document.
export function toMarkdown({ conversation, items }: Exported, words: MarkdownWords): string {
  const out = [
    '---',
    'ai_generated: true',
    `notice: ${JSON.stringify(words.notice)}`,
    '---',
    '',
    `# ${conversation.title || words.untitled}`,
    '',
    `> ${words.notice}`,
    '',
  ];
  for (const item of pathTo(items, conversation.leaf_id)) {
    const model = item.model ? ` (${item.model})` : '';
    out.push(`## ${item.role === 'user' ? words.user : words.assistant}${model}`, '');
    for (const file of item.attachments ?? []) out.push(`*${file.name}*`, '');
    if (item.reasoning) {
      out.push(`<details><summary>${words.thinking}</summary>`, '', item.reasoning, '', '</details>', '');
    }
    out.push(item.shown ?? item.content, '');
  }
  out.push('---', '', words.notice, '');
  return out.join('\n');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const time = (value: unknown, otherwise: number): number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0 ? value : otherwise;
const optional = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

function importItem(raw: unknown, conversation_id: string, now: number): Item | undefined {
  if (!isRecord(raw) || typeof raw.id !== 'string') return undefined;
  if (raw.role !== 'user' && raw.role !== 'assistant' && raw.role !== 'system') return undefined;
  const attachments = Array.isArray(raw.attachments)
    ? raw.attachments.filter(isRecord).map((file) => ({
        name: text(file.name),
        type: text(file.type),
        bytes: time(file.bytes, 0),
        text: text(file.text),
      }))
    : undefined;
  return {
    id: raw.id,
    object: 'conversation.item',
    conversation_id,
    parent_id: typeof raw.parent_id === 'string' ? raw.parent_id : null,
    role: raw.role,
    status: raw.status === 'failed' || raw.status === 'incomplete' ? raw.status : 'completed',
    created_at: time(raw.created_at, now),
    content: text(raw.content),
    reasoning: optional(raw.reasoning),
    attachments,
    workflow: optional(raw.workflow),
    shown: optional(raw.shown),
    model: optional(raw.model),
    finish_reason: optional(raw.finish_reason),
    error: optional(raw.error),
  };
}

// New ids for everything, so that an import never overwrites what is here. An item whose parent is
// missing, or that would close a circle, becomes a root.
function renumber(items: Item[]): { items: Item[]; ids: Map<string, string> } {
  const ids = new Map(items.map((item) => [item.id, newId('msg')]));
  const seen = new Set<string>();
  const out = items.map((item) => {
    const parent = item.parent_id !== null && seen.has(item.parent_id) ? item.parent_id : null;
    seen.add(item.id);
    return {
      ...item,
      id: ids.get(item.id) as string,
      parent_id: parent === null ? null : (ids.get(parent) as string),
    };
  });
  return { items: out, ids };
}

function importConversation(raw: unknown, now: number): Exported | undefined {
  if (!isRecord(raw) || !isRecord(raw.conversation) || !Array.isArray(raw.items)) return undefined;
  const head = raw.conversation;
  const id = newId('conv');
  const valid = raw.items
    .slice(0, MAX_IMPORT_ITEMS)
    .map((item) => importItem(item, id, now))
    .filter((item) => item !== undefined);
  const { items, ids } = renumber(valid);
  const settings = isRecord(head.settings) ? head.settings : {};
  const thinking = settings.thinking;
  return {
    conversation: {
      id,
      object: 'conversation',
      created_at: time(head.created_at, now),
      updated_at: time(head.updated_at, now),
      title: text(head.title).slice(0, 200),
      title_source: 'user',
      pinned: head.pinned === true,
      temporary: false,
      settings: {
        model: optional(settings.model),
        system: optional(settings.system),
        preset: 'default',
        sampler: {},
        thinking: thinking === 'on' || thinking === 'off' ? thinking : 'auto',
      },
      leaf_id: ids.get(text(head.leaf_id)) ?? items.at(-1)?.id ?? null,
    },
    items,
  };
}

// Throws an Error that names what is wrong.
export function fromJson(json: string): Exported[] {
  const now = Date.now();
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch {
    throw new Error('want a JSON file');
  }
  if (!isRecord(file) || file.format !== FORMAT || !Array.isArray(file.conversations)) {
    throw new Error(`want a file of the format "${FORMAT}"`);
  }
  if (typeof file.version !== 'number' || file.version > FORMAT_VERSION) {
    throw new Error(`want version ${FORMAT_VERSION} or older, found ${String(file.version)}`);
  }
  if (file.conversations.length > MAX_IMPORT_CONVERSATIONS) {
    throw new Error(`want at most ${MAX_IMPORT_CONVERSATIONS} conversations`);
  }
  return file.conversations
    .map((item) => importConversation(item, now))
    .filter((item) => item !== undefined);
}
