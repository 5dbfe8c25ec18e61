import 'fake-indexeddb/auto';
import { File as NodeFile } from 'node:buffer';
import { beforeEach, describe, expect, it } from 'vitest';
import { FORMAT, fromJson, toJson, toMarkdown } from '../src/store/exchange';
import { IndexedDbStore } from '../src/store/indexeddb_store';
import { MemoryStore } from '../src/store/memory_store';
import { fold, snippetOf, wordsOf } from '../src/store/search';
import type { Conversation, ConversationStore, Item } from '../src/store/types';
import { fileName } from '../src/state/download';
import { decodeText, MAX_FILE_BYTES, MAX_FILE_CHARS, readFile } from '../src/state/files';

let serial = 0;

function conversation(id: string, title: string, updated_at = 1): Conversation {
  return { id, object: 'conversation', created_at: 1, updated_at, title, title_source: 'user', pinned: false, temporary: false, settings: { preset: 'default', sampler: {}, thinking: 'auto' }, leaf_id: null };
}

function item(conversation_id: string, content: string, parent_id: string | null = null, role: Item['role'] = 'user'): Item {
  return { id: `i${++serial}`, object: 'conversation.item', conversation_id, parent_id, role, status: 'completed', created_at: serial, content };
}

describe.each<[string, () => ConversationStore]>([
  ['IndexedDbStore', () => new IndexedDbStore(`test${++serial}`)],
  ['MemoryStore', () => new MemoryStore()],
])('%s', (_, make) => {
  let store: ConversationStore;
  beforeEach(() => (store = make()));

  it('lists newest first, keeps and removes', async () => {
    await store.put(conversation('a', 'A', 1));
    await store.put(conversation('b', 'B', 2));
    expect((await store.list()).map((found) => found.id)).toEqual(['b', 'a']);
    await store.put(conversation('a', 'A2', 3));
    expect((await store.list())[0]?.title).toBe('A2');
    await store.putItems([item('a', 'x')]);
    await store.remove('a');
    expect(await store.get('a')).toBeUndefined();
    expect(await store.items('a')).toEqual([]);
  });
  it('keeps items apart and in order', async () => {
    const [one, two, other] = [item('a', '1'), item('a', '2'), item('b', '3')];
    await store.putItems([one, two, other]);
    expect(await store.items('a')).toEqual([one, two]);
    await store.removeItems('a', [one.id]);
    expect(await store.items('a')).toEqual([two]);
  });
  it('finds two Chinese characters inside a word, and follows changes', async () => {
    await store.put(conversation('a', '旅行'));
    await store.put(conversation('b', 'other'));
    await store.putItems([item('a', '我们明天去北京大学参观'), item('b', 'Beijing UNIVERSITY')]);
    const ids = async (query: string) => (await store.search(query, 10)).map((hit) => hit.conversation.id);
    expect(await ids('京大')).toEqual(['a']);
    expect(await ids('旅行')).toEqual(['a']);
    expect(await ids('university beijing')).toEqual(['b']);
    expect(await ids('大京')).toEqual([]);
    expect(await ids('  ')).toEqual([]);
    await store.putItems([item('b', '京大校友')]);
    expect((await ids('京大')).sort()).toEqual(['a', 'b']);
    await store.remove('a');
    expect(await ids('京大')).toEqual(['b']);
    const [hit] = await store.search('校友', 10);
    expect(hit?.snippet.slice(hit.start, hit.start + hit.length)).toBe('校友');
  });
  it('clears', async () => {
    await store.put(conversation('a', 'A'));
    await store.putItems([item('a', 'x')]);
    await store.clear();
    expect([await store.list(), await store.items('a'), await store.search('x', 1)]).toEqual([[], [], []]);
  });
});

describe('search over 10,000 conversations', () => {
  it('finds the one', async () => {
    const store = new IndexedDbStore('many');
    for (let i = 0; i < 10_000; i += 500) {
      const ids = Array.from({ length: 500 }, (_, k) => `c${i + k}`);
      await store.putItems(ids.map((id) => item(id, `谈论第 ${id} 个话题，内容很平常`)));
      await Promise.all(ids.map((id) => store.put(conversation(id, id))));
    }
    await store.putItems([item('c77', '青瓷的开片')]);
    expect((await store.search('开片', 10)).map((hit) => hit.conversation.id)).toEqual(['c77']);
  }, 60_000);
});

describe('search text', () => {
  it('folds width and case', () => expect(fold('ＡＢＣ')).toBe('abc'));
  it('splits at any white space, up to 16 words', () => {
    expect(wordsOf(' 北京　大学 ')).toEqual(['北京', '大学']);
    expect(wordsOf('a '.repeat(17))).toHaveLength(16);
  });
  it('shows the surroundings', () => {
    const found = snippetOf(`${'x'.repeat(50)}needle${'y'.repeat(100)}`, 'needle');
    expect(found?.snippet).toBe(`…${'x'.repeat(24)}needle${'y'.repeat(60)}…`);
    expect(found?.start).toBe(25);
  });
});

describe('export and import', () => {
  const words = { notice: '内容由AI生成，请核实', user: '你', assistant: '助手', thinking: '思考', untitled: '未命名' };
  const question = item('a', 'long prompt');
  question.shown = 'short';
  const answer = { ...item('a', 'the answer', question.id, 'assistant'), reasoning: 'hm', model: 'm' };
  const other = item('a', 'another branch');
  const exported = { conversation: { ...conversation('a', '标题'), leaf_id: answer.id }, items: [question, answer, other] };

  it('says in every file that the content is AI-generated', () => {
    const json = JSON.parse(toJson([exported], words.notice, new Date(0)));
    expect(json).toMatchObject({ ai_generated: true, notice: words.notice });
    const markdown = toMarkdown(exported, words);
    expect(markdown.startsWith('---\nai_generated: true\n')).toBe(true);
    expect(markdown.split(words.notice)).toHaveLength(4);
  });
  it('writes the shown branch as Markdown', () => {
    const markdown = toMarkdown(exported, words);
    expect(markdown).toContain('# 标题');
    expect(markdown).toContain('short');
    expect(markdown).not.toContain('long prompt');
    expect(markdown).not.toContain('another branch');
    expect(markdown).toContain('## 助手 (m)');
  });
  it('comes back whole under new ids', () => {
    const [back] = fromJson(toJson([exported], words.notice, new Date(0)));
    expect(back?.conversation.id).not.toBe('a');
    expect(back?.conversation.title).toBe('标题');
    expect(back?.items.map((found) => found.content)).toEqual(['long prompt', 'the answer', 'another branch']);
    expect(back?.items[1]?.parent_id).toBe(back?.items[0]?.id);
    expect(back?.conversation.leaf_id).toBe(back?.items[1]?.id);
    expect(back?.items[0]?.id).not.toBe(question.id);
  });
  it.each([
    ['no JSON', '{', 'JSON'],
    ['another format', '{"format":"x"}', 'format'],
    ['a newer version', `{"format":"${FORMAT}","version":2,"conversations":[]}`, 'version'],
    ['too many', JSON.stringify({ format: FORMAT, version: 1, conversations: Array(20_001).fill(0) }), 'at most'],
  ])('refuses %s', (_, json, message) => expect(() => fromJson(json)).toThrow(message));
  it('leaves out what is malformed and cuts circles', () => {
    const raw = {
      format: FORMAT,
      version: 1,
      conversations: [
        null,
        {},
        { conversation: { title: 7 }, items: [null, { id: 'x' }, { id: 'a', role: 'user', parent_id: 'b', content: 3 }, { id: 'b', role: 'assistant', parent_id: 'a', content: 'y' }] },
      ],
    };
    const all = fromJson(JSON.stringify(raw));
    expect(all).toHaveLength(1);
    expect(all[0]?.items.map((found) => found.parent_id)).toEqual([null, all[0]?.items[0]?.id]);
    expect(all[0]?.conversation.title).toBe('');
  });
  it.each([
    ['a/b:c', 'a b c'],
    ['', 'yunqi-conversation'],
    ['..', 'yunqi-conversation'],
    ['字'.repeat(80), '字'.repeat(60)],
  ])('names files: %j', (title, name) => expect(fileName(title)).toBe(name));
});

describe('files', () => {
  // jsdom's own File can't be read.
  const file = (content: string | Uint8Array, name: string) => new NodeFile([content], name) as unknown as File;
  const encode = (...codes: number[]) => new Uint8Array(codes);
  it('reads UTF-8, UTF-16 with a mark and GB18030', () => {
    expect(decodeText(new TextEncoder().encode('云起'))).toBe('云起');
    expect(decodeText(encode(0xff, 0xfe, 0x91, 0x4e))).toBe('云');
    expect(decodeText(encode(0xd4, 0xc6, 0xc6, 0xf0))).toBe('云起');
  });
  it('refuses binary files', () => {
    expect(decodeText(encode(0x25, 0x50, 0, 1))).toBeUndefined();
    expect(decodeText(encode(1, 2, 3, 4))).toBeUndefined();
  });
  it('has limits', async () => {
    await expect(readFile(file(new Uint8Array(MAX_FILE_BYTES + 1), 'big'))).rejects.toMatchObject({ kind: 'too_big' });
    const long = await readFile(file('x'.repeat(MAX_FILE_CHARS + 1), 'long.txt'));
    expect([long.text.length, long.truncated]).toEqual([MAX_FILE_CHARS, true]);
    const fits = await readFile(file('x'.repeat(MAX_FILE_CHARS), 'fits.txt'));
    expect(fits.truncated).toBeUndefined();
  });
});
