import { describe, expect, it } from 'vitest';
import { languages } from '../src/i18n/i18n.svelte';
import { icons } from '../src/ui/icons';
import { parseCsv, profileCsv, toNumber } from '../src/workflows/csv';
import { fenced, fillPrompt, looksLikeCode, promptOf, route, sectionsOf, workflowOf, workflows } from '../src/workflows/workflows';
import schema from '../src/workflows/schema.json';

const file = (name: string, text = 'x') => ({ name, type: 'text/plain', bytes: 1, text });

// As much of JSON Schema as our own schema uses.
function check(value: unknown, rule: Record<string, any>, path: string): string[] {
  if (rule.enum) return rule.enum.includes(value) ? [] : [`${path}: not in the list`];
  if (rule.type === 'array') return Array.isArray(value) ? value.flatMap((item, at) => check(item, rule.items, `${path}[${at}]`)) : [`${path}: no array`];
  if (rule.type === 'integer') return Number.isInteger(value) ? [] : [`${path}: no integer`];
  if (rule.type === 'object') {
    if (typeof value !== 'object' || value === null) return [`${path}: no object`];
    const record = value as Record<string, unknown>;
    const missing = (rule.required ?? []).filter((name: string) => !(name in record)).map((name: string) => `${path}.${name}: missing`);
    const inside = Object.entries(record).flatMap(([name, item]) => {
      const inner = rule.properties?.[name];
      if (inner) return check(item, inner, `${path}.${name}`);
      return rule.additionalProperties === false ? [`${path}.${name}: unknown`] : [];
    });
    return [...missing, ...inside];
  }
  return typeof value === rule.type ? [] : [`${path}: no ${rule.type}`];
}

describe('workflow files', () => {
  it.each(workflows.map((workflow) => [workflow.id, workflow] as const))('%s follows the schema and names real texts', (_, workflow) => {
    expect(check(workflow, schema, '')).toEqual([]);
    expect(Object.keys(icons)).toContain(workflow.icon);
    const keys = [workflow.title, workflow.hint, ...workflow.options.flatMap((option) => [option.label, ...(option.choices ?? []).map((choice) => choice.label)])];
    for (const key of keys) expect(languages.zh[key], key).toBeTruthy();
    const names = [...workflow.prompt.matchAll(/\{(\w+)\}/gu)].map((match) => match[1]);
    const known = ['input', 'files', ...workflow.options.map((option) => option.id)];
    for (const name of names) expect(known).toContain(name);
  });
  it('the check can fail', () => expect(check({ ...workflowOf('chat'), extra: 1 }, schema, '')).toEqual(['.extra: unknown']));
});

describe('routing', () => {
  it.each([
    ['Hi there', [], 'chat', 'default'],
    ['翻译：你好', [], 'translate', 'words'],
    ['Translate this, please', [], 'translate', 'words'],
    ['把这句话翻译成英文：你好', [], 'translate', 'words'],
    ['总结一下这篇文章', [], 'summarise', 'words'],
    ['写一篇关于树的文章', [], 'write', 'words'],
    ['what is best?', [file('a.csv')], 'data', 'file'],
    ['', [file('Notes.MD')], 'summarise', 'file'],
    ['explain', [file('main.py')], 'code', 'file'],
    ['sum up', [file('a.csv')], 'summarise', 'words'],
    ['用 Python 写快排', [], 'code', 'words'],
    ['I like rust on old cars?', [], 'code', 'words'],
    ['I trust you', [], 'chat', 'default'],
    ['The robust way', [], 'chat', 'default'],
    [`A long letter about python. ${'word '.repeat(60)}`, [], 'chat', 'default'],
    ['def f(x):\n    y = x\n    return y', [], 'code', 'code'],
  ] as const)('%j with %j', (text, files, id, reason) => {
    expect(route(text, [...files])).toMatchObject({ workflow: { id }, reason });
  });
  it('knows code from prose', () => {
    expect(looksLikeCode('a;\nb;\nc;')).toBe(true);
    expect(looksLikeCode('one\ntwo\nthree')).toBe(false);
    expect(looksLikeCode('see:\n```\nx\n```')).toBe(true);
  });
});

describe('prompts', () => {
  it('fills in and leaves out what is empty', () => {
    expect(fillPrompt('To {a}.\nGlossary:\n{b}\n\n{c}', { a: 'x', b: '', c: 'text' })).toBe('To x.\n\ntext');
    expect(fillPrompt('{a}', { a: '{b}', b: 'no' })).toBe('{b}');
  });
  it('plain chat is exactly what was typed', () => expect(promptOf(workflowOf('chat'), 'a  b\n{input}', [], {})).toBe('a  b\n{input}'));
  it('translates into the chosen language with the glossary', () => {
    const prompt = promptOf(workflowOf('translate'), 'cloud', [], { target: 'ja', glossary: 'cloud = 雲' });
    expect(prompt).toContain('into Japanese');
    expect(prompt).toContain('cloud = 雲');
    expect(promptOf(workflowOf('translate'), 'cloud', [], {})).not.toContain('glossary');
  });
  it('fences files so that they cannot end the fence', () => {
    expect(fenced('a', '```\nx\n```')).toBe('a\n````\n```\nx\n```\n````');
  });
  it('reads outlines', () => {
    expect(sectionsOf('Here:\n1. **One**\n2) Two\n- Three\n一、四\n\nplain', 10)).toEqual(['One', 'Two', 'Three', '四']);
    expect(sectionsOf('1. a\n2. b\n3. c', 2)).toEqual(['a', 'b']);
  });
});

describe('CSV', () => {
  it('reads quotes, separators inside, doubled quotes and both line ends', () => {
    expect(parseCsv('a,b\r\n"x, y","say ""hi"""\n"two\nlines",2')).toEqual([['a', 'b'], ['x, y', 'say "hi"'], ['two\nlines', '2']]);
  });
  it.each([['a;b\n1;2'], ['a\tb\n1\t2'], ['\ufeffa,b\n1,2']])('finds the separator of %j', (text) => expect(parseCsv(text)).toEqual([['a', 'b'], ['1', '2']]));
  it.each([['1,234.5', 1234.5], ['¥20', 20], ['15%', 15], ['-3e2', -300], ['abc', undefined], ['', undefined], ['1-2', undefined]])('number %j', (text, value) => expect(toNumber(text)).toBe(value));
  it('computes exact figures over all rows, also those that are not shown', () => {
    const rows = Array.from({ length: 1000 }, (_, i) => `m${i % 3},${i}`).join('\n');
    const profile = profileCsv(`name,value\n${rows}`, 'x.csv') ?? '';
    expect(profile).toContain('value: numbers; count 1000; sum 499500; mean 499.5; min 0 (row 1); max 999 (row 1000)');
    expect(profile).toContain('name: text; 3 different values; most often m0 ×334');
    expect(profile).toContain('the first 60 of 1000 rows');
  });
  it('is no table', () => {
    expect(profileCsv('just text', 'x.csv')).toBeUndefined();
    expect(profileCsv('a,b', 'x.csv')).toBeUndefined();
  });
});
