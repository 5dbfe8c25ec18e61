// Conversations that are gone with the page: temporary chats, and browsers without IndexedDB.
import { fold, snippetOf, wordsOf } from './search';
import type { Conversation, ConversationStore, Item, SearchHit } from './types';

export class MemoryStore implements ConversationStore {
  private readonly conversations = new Map<string, Conversation>();
  private readonly byConversation = new Map<string, Map<string, Item>>();

  async list(): Promise<Conversation[]> {
    return [...this.conversations.values()].sort((a, b) => b.updated_at - a.updated_at);
  }

  async get(id: string): Promise<Conversation | undefined> {
    return this.conversations.get(id);
  }

  async put(conversation: Conversation): Promise<void> {
    this.conversations.set(conversation.id, structuredClone(conversation));
  }

  async remove(id: string): Promise<void> {
    this.conversations.delete(id);
    this.byConversation.delete(id);
  }

  async clear(): Promise<void> {
    this.conversations.clear();
    this.byConversation.clear();
  }

  async items(conversation_id: string): Promise<Item[]> {
    return [...(this.byConversation.get(conversation_id)?.values() ?? [])];
  }

  async putItems(items: Item[]): Promise<void> {
    for (const item of items) {
      const map = this.byConversation.get(item.conversation_id) ?? new Map<string, Item>();
      map.set(item.id, structuredClone(item));
      this.byConversation.set(item.conversation_id, map);
    }
  }

  async removeItems(conversation_id: string, ids: string[]): Promise<void> {
    for (const id of ids) this.byConversation.get(conversation_id)?.delete(id);
  }

  async search(query: string, limit: number): Promise<SearchHit[]> {
    const words = wordsOf(query);
    if (words.length === 0) return [];
    const hits: SearchHit[] = [];
    for (const conversation of await this.list()) {
      const text = (await this.items(conversation.id)).map((item) => item.content).join('\n');
      const all = fold(`${conversation.title}\n${text}`);
      if (!words.every((word) => all.includes(word))) continue;
      const found = snippetOf(text, words[0] as string);
      hits.push({ conversation, ...(found ?? { snippet: '', start: -1, length: 0 }) });
    }
    return hits.slice(0, limit);
  }
}
