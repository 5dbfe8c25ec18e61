import { describe, expect, it } from 'vitest';
import { buildRequest, messagesOf, refusedField, systemOf, titleOf } from '../src/chat/request';
import { newestLeaf, pathTo, siblingsOf, subtree } from '../src/chat/tree';
import type { ConversationSettings, Item } from '../src/store/types';
import { workflowOf } from '../src/workflows/workflows';

function item(id: string, parent_id: string | null, role: Item['role'] = 'user', created_at = 0, content = id): Item {
  return { id, parent_id, role, created_at, content, object: 'conversation.item', conversation_id: 'c', status: 'completed' };
}

// a question, two answers, and a second question below each
const tree = [item('q', null), item('a1', 'q', 'assistant', 1), item('a2', 'q', 'assistant', 2), item('r1', 'a1', 'user', 3), item('r2', 'a2', 'user', 4)];

describe('the tree', () => {
  it('walks from the root to the leaf', () => expect(pathTo(tree, 'r1').map((node) => node.id)).toEqual(['q', 'a1', 'r1']));
  it('has no path to what is not there', () => expect([pathTo(tree, 'x'), pathTo(tree, null)]).toEqual([[], []]));
  it('survives a circle', () => expect(pathTo([item('a', 'b'), item('b', 'a')], 'a')).toHaveLength(2));
  it('counts alternatives', () => {
    expect(siblingsOf(tree).get('a2')).toEqual({ index: 1, ids: ['a1', 'a2'] });
    expect(siblingsOf(tree).get('q')?.ids).toEqual(['q']);
  });
  it('turns to the newest end of a branch', () => {
    expect(newestLeaf(tree, 'a1')).toBe('r1');
    expect(newestLeaf(tree, 'q')).toBe('r2');
  });
  it('takes everything below an item', () => expect([...subtree(tree, 'a1')]).toEqual(['a1', 'r1']));
});

const settings: ConversationSettings = { preset: 'default', sampler: {}, thinking: 'auto' };

describe('requests', () => {
  it('holds the system prompt and the branch, without answers that never came', () => {
    const path = [item('q', null), item('a', 'q', 'assistant', 1, ''), item('r', 'a')];
    expect(messagesOf(path, 'be brief')).toEqual([{ role: 'system', content: 'be brief' }, { role: 'user', content: 'q' }, { role: 'user', content: 'r' }]);
  });
  it('says how to think', () => {
    expect(buildRequest('m', [], settings, {}).enable_thinking).toBe('auto');
    expect(buildRequest('m', [], { ...settings, thinking: 'on', thinking_budget: 64 }, {})).toMatchObject({ enable_thinking: true, thinking_budget: 64 });
    const off = buildRequest('m', [], { ...settings, thinking: 'off', thinking_budget: 64 }, {});
    expect(off.enable_thinking).toBe(false);
    expect(off).not.toHaveProperty('thinking_budget');
  });
  it("puts the user's sampler before the workflow's", () => {
    const request = buildRequest('m', [], { ...settings, sampler: { temperature: 1, top_p: undefined } }, { temperature: 0.3, top_p: 0.9 });
    expect(request.temperature).toBe(1);
    expect(request).not.toHaveProperty('top_p');
  });
  it('joins system prompts', () => expect(systemOf({ ...settings, system: 'mine' }, workflowOf('code'))).toMatch(/programmer[\s\S]*mine/u));
  it('finds the optional field that an error blames', () => {
    const request = { model: 'm', messages: [], enable_thinking: true };
    expect(refusedField(request, 'enable_thinking')).toBe('enable_thinking');
    expect(refusedField(request, 'thinking_budget')).toBeUndefined();
    expect(refusedField(request, 'messages[0]')).toBeUndefined();
    expect(refusedField(request, undefined)).toBeUndefined();
  });
});

describe('titles', () => {
  it.each([
    ['Hello', 'Hello'],
    ['\n\n## A *title*\nmore', 'A title'],
    ['', ''],
    ['字'.repeat(60), `${'字'.repeat(47)}…`],
  ])('%j', (text, title) => expect(titleOf(text)).toBe(title));
});
