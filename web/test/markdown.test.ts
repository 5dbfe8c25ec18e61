import { beforeAll, describe, expect, it, vi } from 'vitest';
import { BlockList, marked } from '../src/markdown/blocks';
import { parseChart } from '../src/markdown/chart';
import { highlight } from '../src/markdown/highlight';
import { renderMath } from '../src/markdown/math';
import { renderTokens } from '../src/markdown/render';
import { payloads } from './xss_corpus';

const render = (source: string) => renderTokens(marked.lexer(source));

function fragment(html: string): DocumentFragment {
  const template = document.createElement('template');
  template.innerHTML = html;
  return template.content;
}

const ELEMENTS = new Set(
  'A BLOCKQUOTE BR CODE DEL DIV EM H1 H2 H3 H4 H5 H6 HR IMG LI OL P PRE SPAN STRONG SUB SUP TABLE TBODY TD TH THEAD TR UL'.split(' '),
);

function expectHarmless(root: ParentNode): void {
  for (const element of root.querySelectorAll('*')) {
    expect(ELEMENTS, element.nodeName).toContain(element.nodeName);
    for (const { name, value } of element.attributes) {
      expect(name).not.toMatch(/^on|^style$|^id$|^name$|^srcset$|^form/u);
      if (name === 'href') expect(value).toMatch(/^(?:https?:|mailto:)/iu);
      if (name === 'src') expect(value).toMatch(/^data:image\/(?:png|jpeg|gif|webp);base64,/u);
    }
    if (element.nodeName === 'A') {
      expect(element.getAttribute('rel')).toContain('noopener');
      expect(element.getAttribute('target')).toBe('_blank');
    }
  }
}

describe('text of a model never becomes live HTML', () => {
  it('has a corpus of at least 60 payloads', () => expect(new Set(payloads).size).toBeGreaterThanOrEqual(60));
  it.each(payloads)('%j', (payload) => {
    expectHarmless(fragment(render(payload)));
    expectHarmless(fragment(render(`text ${payload} text`)));
  });
  it.each(payloads)('highlighted: %j', async (payload) => {
    const html = (await highlight(payload, 'html')) ?? '';
    for (const element of fragment(html).querySelectorAll('*')) {
      expect(element.nodeName).toBe('SPAN');
      expect([...element.attributes].map((item) => item.name)).toEqual(['class']);
    }
  });
  it('formulas bring no links, no images and no styles that were not listed', async () => {
    for (const tex of ['\\href{javascript:alert(1)}{x}', '\\includegraphics{https://evil.invalid/x.png}', '\\text{<img src=x onerror=alert(1)>}', '\\frac{a}{b}']) {
      const target = document.createElement('div');
      target.textContent = tex;
      await renderMath(target, tex, true);
      expect(target.querySelectorAll('a, img, script, [href], [src], [onerror], [style*="url"]')).toHaveLength(0);
    }
  });
});

describe('Markdown', () => {
  it('keeps ordinary links and opens them elsewhere', () => {
    const link = fragment(render('[site](https://example.org "tip")')).querySelector('a');
    expect(link?.getAttribute('href')).toBe('https://example.org');
    expect(link?.title).toBe('tip');
    expect(link?.rel).toBe('noopener noreferrer nofollow');
  });
  it('never loads outside images: they are links', () => {
    const root = fragment(render('![a cat](https://example.org/cat.png)'));
    expect(root.querySelector('img')).toBeNull();
    expect(root.querySelector('a')?.textContent).toBe('a cat');
  });
  it('shows raw HTML as text', () => expect(fragment(render('a <b>bold</b> <u>x</u>')).textContent).toContain('<b>bold</b>'));
  it('makes tables that scroll on their own', () => {
    const root = fragment(render('| a | b |\n|---|--:|\n| 1 | 2 |'));
    expect(root.querySelector('.table-scroll table td.align-right')?.textContent).toBe('2');
  });
  it.each([
    ['$x^2$', 'x^2'],
    ['\\(a+b\\)', 'a+b'],
    ['in $E=mc^2$ text', 'E=mc^2'],
  ])('finds inline math in %s', (source, tex) => {
    expect(fragment(render(source)).querySelector('.math')?.textContent).toBe(tex);
  });
  it.each(['It costs $5 and $10.', '$ 5 and 6 $', 'a $b', 'US$20 to US$30'])('finds no math in %s', (source) => {
    expect(fragment(render(source)).querySelector('.math')).toBeNull();
  });
});

describe('BlockList', () => {
  const source = [
    '# Title',
    'A paragraph with **bold**\nand two lines.',
    '```python\nprint(1)\n\nprint(2)\n```',
    '- one\n- two\n\n  more of two',
    '| a | b |\n|---|---|\n| 1 | 2 |',
    '$$\nx^2\n$$',
    '---',
    'End.',
  ].join('\n\n');

  it('gives the same blocks letter by letter as at once', () => {
    const whole = new BlockList().update(source);
    for (const step of [1, 3, 7, 50]) {
      const list = new BlockList();
      for (let at = step; at < source.length; at += step) list.update(source.slice(0, at));
      const grown = list.update(source);
      expect(grown.map((block) => [block.kind, block.raw.trim()])).toEqual(whole.map((block) => [block.kind, block.raw.trim()]));
    }
  });

  it('keeps finished blocks as they are: only the last one changes', () => {
    const list = new BlockList();
    const before = list.update('first\n\nsecond\n\nthi');
    const after = list.update('first\n\nsecond\n\nthird');
    expect(after[0]).toBe(before[0]);
    expect(after[1]).toBe(before[1]);
    expect(after[2]).not.toBe(before[2]);
    expect(after[2]?.key).toBe(before[2]?.key);
  });

  it('lexes only the end of a long text', () => {
    const lexer = vi.spyOn(marked, 'lexer');
    const list = new BlockList();
    const head = Array.from({ length: 200 }, (_, i) => `paragraph ${i}`).join('\n\n');
    list.update(head);
    list.update(`${head}\n\nmore`);
    lexer.mockClear();
    list.update(`${head}\n\nmore and more`);
    expect(lexer.mock.calls[0]?.[0].length).toBeLessThan(40);
    lexer.mockRestore();
  });

  it('knows an open fence from a closed one', () => {
    const list = new BlockList();
    expect(list.update('```js\nlet a')[0]).toMatchObject({ kind: 'code', closed: false, language: 'js', code: 'let a' });
    expect(list.update('```js\nlet a\n```')[0]).toMatchObject({ closed: true });
    expect(new BlockList().update('````\n```\n')[0]).toMatchObject({ closed: false });
  });

  it('starts again when the text is another one', () => {
    const list = new BlockList();
    list.update('one\n\ntwo\n\nthree');
    expect(list.update('other')).toMatchObject([{ kind: 'html', raw: 'other' }]);
  });

  it('keys stay unique', () => {
    const list = new BlockList();
    for (let at = 1; at <= source.length; ++at) {
      const keys = list.update(source.slice(0, at)).map((block) => block.key);
      expect(new Set(keys).size).toBe(keys.length);
    }
  });
});

describe('highlighting', () => {
  beforeAll(() => highlight('1', 'json'));
  it('colours known languages', async () => expect(await highlight('let a = 1;', 'js')).toContain('hljs-keyword'));
  it('leaves unknown ones alone', async () => expect(await highlight('x', 'nolang')).toBeUndefined());
  it('leaves very long code alone', async () => expect(await highlight('a'.repeat(60_001), 'js')).toBeUndefined());
});

describe('charts', () => {
  it('takes labels and numbers', () => expect(parseChart('{"labels":["a"],"values":[2]}')).toMatchObject({ type: 'bar', values: [2] }));
  it.each(['', '[]', 'null', '{"labels":["a"],"values":[]}', '{"labels":["a"],"values":["2"]}', '{"labels":[],"values":[]}', '{"labels":["a"],"values":[1e999]}'])('refuses %s', (json) =>
    expect(parseChart(json)).toBeUndefined());
  it('takes 200 points and not 201', () => {
    const of = (count: number) => JSON.stringify({ labels: Array(count).fill('x'), values: Array(count).fill(1) });
    expect(parseChart(of(200))).toBeDefined();
    expect(parseChart(of(201))).toBeUndefined();
  });
});
