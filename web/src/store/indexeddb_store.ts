// Conversations in this browser's IndexedDB, until the server keeps them.
import { fold, snippetOf, wordsOf } from './search';
import type { Conversation, ConversationStore, Item, SearchHit } from './types';

const VERSION = 1;

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('IndexedDB failed'));
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onerror = () => reject(transaction.error ?? new Error('IndexedDB failed'));
    transaction.onabort = () => reject(transaction.error ?? new Error('IndexedDB is full'));
  });
}

function upgrade(db: IDBDatabase): void {
  db.createObjectStore('conversations', { keyPath: 'id' });
  const items = db.createObjectStore('items', { keyPath: 'id' });
  items.createIndex('conversation_id', 'conversation_id');
}

interface IndexedText {
  text: string; // all messages, as they are
  folded: string;
}

export class IndexedDbStore implements ConversationStore {
  private db: Promise<IDBDatabase> | undefined;
  // Text of every conversation, filled at the first search and kept up to date after that.
  private texts: Map<string, IndexedText> | undefined;

  constructor(private readonly name = 'yunqi') {}

  private open(): Promise<IDBDatabase> {
    this.db ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, VERSION);
      request.onupgradeneeded = () => upgrade(request.result);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error ?? new Error('IndexedDB is not available'));
    });
    return this.db;
  }

  async list(): Promise<Conversation[]> {
    const db = await this.open();
    const all = await done<Conversation[]>(
      db.transaction('conversations').objectStore('conversations').getAll(),
    );
    return all.sort((a, b) => b.updated_at - a.updated_at);
  }

  async get(id: string): Promise<Conversation | undefined> {
    const db = await this.open();
    return done(db.transaction('conversations').objectStore('conversations').get(id));
  }

  async put(conversation: Conversation): Promise<void> {
    const db = await this.open();
    const transaction = db.transaction('conversations', 'readwrite');
    transaction.objectStore('conversations').put(conversation);
    await finished(transaction);
  }

  async remove(id: string): Promise<void> {
    const db = await this.open();
    const transaction = db.transaction(['conversations', 'items'], 'readwrite');
    transaction.objectStore('conversations').delete(id);
    const items = transaction.objectStore('items');
    for (const key of await done(items.index('conversation_id').getAllKeys(id))) items.delete(key);
    await finished(transaction);
    this.texts?.delete(id);
  }

  async clear(): Promise<void> {
    const db = await this.open();
    const transaction = db.transaction(['conversations', 'items'], 'readwrite');
    transaction.objectStore('conversations').clear();
    transaction.objectStore('items').clear();
    await finished(transaction);
    this.texts = undefined;
  }

  async items(conversation_id: string): Promise<Item[]> {
    const db = await this.open();
    const found = await done<Item[]>(
      db.transaction('items').objectStore('items').index('conversation_id').getAll(conversation_id),
    );
    return found.sort((a, b) => a.created_at - b.created_at || (a.id < b.id ? -1 : 1));
  }

  async putItems(items: Item[]): Promise<void> {
    const db = await this.open();
    const transaction = db.transaction('items', 'readwrite');
    for (const item of items) transaction.objectStore('items').put(item);
    await finished(transaction);
    await this.reindex(items.map((item) => item.conversation_id));
  }

  async removeItems(conversation_id: string, ids: string[]): Promise<void> {
    const db = await this.open();
    const transaction = db.transaction('items', 'readwrite');
    for (const id of ids) transaction.objectStore('items').delete(id);
    await finished(transaction);
    await this.reindex([conversation_id]);
  }

  private async reindex(conversation_ids: string[]): Promise<void> {
    if (this.texts === undefined) return;
    for (const id of new Set(conversation_ids)) {
      this.texts.set(id, indexed((await this.items(id)).map(searchableText)));
    }
  }

  private async allTexts(): Promise<Map<string, IndexedText>> {
    if (this.texts !== undefined) return this.texts;
    const db = await this.open();
    const all = await done<Item[]>(db.transaction('items').objectStore('items').getAll());
    const parts = new Map<string, string[]>();
    for (const item of all) {
      const list = parts.get(item.conversation_id);
      if (list) list.push(searchableText(item));
      else parts.set(item.conversation_id, [searchableText(item)]);
    }
    this.texts = new Map(Array.from(parts, ([id, texts]) => [id, indexed(texts)]));
    return this.texts;
  }

  async search(query: string, limit: number): Promise<SearchHit[]> {
    const words = wordsOf(query);
    if (words.length === 0) return [];
    const [conversations, texts] = await Promise.all([this.list(), this.allTexts()]);
    const inTitle: SearchHit[] = [];
    const inText: SearchHit[] = [];
    for (const conversation of conversations) {
      const title = fold(conversation.title);
      const body = texts.get(conversation.id);
      if (!words.every((word) => title.includes(word) || body?.folded.includes(word))) continue;
      const found = body === undefined ? undefined : firstSnippet(body.text, words);
      const hit = found ?? { snippet: '', start: -1, length: 0 };
      (words.every((word) => title.includes(word)) ? inTitle : inText).push({ conversation, ...hit });
    }
    return [...inTitle, ...inText].slice(0, limit);
  }
}

function searchableText(item: Item): string {
  return item.role === 'system' ? '' : (item.shown ?? item.content);
}

function indexed(texts: string[]): IndexedText {
  const text = texts.join('\n');
  return { text, folded: fold(text) };
}

function firstSnippet(text: string, words: string[]) {
  for (const word of words) {
    const found = snippetOf(text, word);
    if (found) return found;
  }
  return undefined;
}
