import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { en } from '../src/i18n/en';
import { browserLanguage, bytes, duration, fill, i18n } from '../src/i18n/i18n.svelte';
import { zh } from '../src/i18n/zh';

const values = (text: string) => [...text.matchAll(/\{(\w+)\}/gu)].map((match) => match[1]).sort();

function sources(folder: string): string {
  return readdirSync(folder, { withFileTypes: true })
    .map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return entry.name === 'i18n' ? '' : sources(path);
      return readFileSync(path, 'utf8');
    })
    .join('\n');
}

describe('messages', () => {
  it('every language has exactly the keys of English', () => expect(Object.keys(zh).sort()).toEqual(Object.keys(en).sort()));
  it.each(Object.keys(en) as (keyof typeof en)[])('%s has text and the same values in both', (key) => {
    expect(zh[key].trim()).not.toBe('');
    expect(values(zh[key])).toEqual(values(en[key]));
  });
  it('every key is used somewhere', () => {
    const all = sources(join(import.meta.dirname, '../src'));
    // Keys that are put together from parts.
    const built = /^(?:thinking\.(?:off|auto|on)(?:_hint)?|settings\.theme_\w+|workflow\.reason\.\w+)$/u;
    const unused = Object.keys(en).filter((key) => !built.test(key) && !all.includes(`'${key}'`) && !all.includes(`"${key}"`));
    expect(unused).toEqual([]);
  });
  it('no text stands in components outside the message files', () => {
    for (const name of readdirSync(join(import.meta.dirname, '../src/ui'))) {
      if (!name.endsWith('.svelte')) continue;
      const source = readFileSync(join(import.meta.dirname, '../src/ui', name), 'utf8');
      const markup = source.replace(/<(script|style)[\s\S]*?<\/\1>/gu, '').replace(/<!--[\s\S]*?-->/gu, '').replace(/\{[^{}]*\}/gu, '');
      const texts = [...markup.matchAll(/>([^<>{}]*[A-Za-z]{3,}[^<>{}]*)</gu)].map((match) => match[1]?.trim());
      expect(texts.filter((text) => !['English', 'Ctrl K'].includes(text ?? '') && !/[=();]/u.test(text ?? '')), name).toEqual([]);
    }
  });
  it('the notice is the one that is asked for', () => {
    expect(zh['notice.ai']).toBe('内容由AI生成，请核实');
    expect(en['notice.ai']).toContain('AI-generated');
  });
});

describe('formatting', () => {
  it('fills values and leaves unknown names', () => expect(fill('{a} {b}', { a: 1 })).toBe('1 {b}'));
  it('takes the first language that it has', () => {
    expect(browserLanguage(['fr', 'zh-TW', 'en'])).toBe('zh');
    expect(browserLanguage(['fr'])).toBe('en');
  });
  it('says times and sizes', () => {
    i18n.language = 'en';
    expect([duration(850), duration(3210), duration(65_000)]).toEqual(['850ms', '3.2s', '1m 5s']);
    expect([bytes(12), bytes(2048), bytes(3 << 20)]).toEqual(['12 B', '2 KB', '3 MB']);
  });
});
