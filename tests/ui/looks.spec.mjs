// Every page in both languages, both themes, at 390 and 1280 pixels: no accessibility violation,
// nothing wider than the window, and a picture in build/ui/shots to be looked at.
import { answer, expect, expectAccessible, open, say, test } from './fixtures.mjs';

const sample = {
  en: {
    ask: 'How does a hash table find a value so quickly?',
    reasoning: 'Explain buckets first, then the cost, then show code.',
    text: `A **hash table** turns a key into a position, so it looks in *one* place instead of searching them all.

## The idea

1. A hash function turns the key into a number.
2. The number, modulo the table's size, names a **bucket**.
3. Only that bucket is searched.

| Operation | On average | At worst |
|---|--:|--:|
| find | $O(1)$ | $O(n)$ |
| insert | $O(1)$ | $O(n)$ |

The load factor $\\alpha = n / m$ decides how full the buckets are:

$$E[\\text{probes}] = 1 + \\frac{\\alpha}{2}$$

\`\`\`python
def find(table, key):
    bucket = table[hash(key) % len(table)]
    for stored, value in bucket:
        if stored == key:  # usually the first one
            return value
    return None
\`\`\`

> When the table gets too full, it is rebuilt with more buckets.`,
  },
  zh: {
    ask: '哈希表为什么能这么快找到一个值？',
    reasoning: '先讲桶，再讲代价，最后给代码。',
    text: `**哈希表**把键变成一个位置，所以只需要看*一处*，不必逐个查找。

## 思路

1. 哈希函数把键变成一个数。
2. 这个数对表长取模，得到一个**桶**。
3. 只在这个桶里查找。

| 操作 | 平均 | 最坏 |
|---|--:|--:|
| 查找 | $O(1)$ | $O(n)$ |
| 插入 | $O(1)$ | $O(n)$ |

装载因子 $\\alpha = n / m$ 决定桶有多满：

$$E[\\text{探测次数}] = 1 + \\frac{\\alpha}{2}$$

\`\`\`python
def find(table, key):
    bucket = table[hash(key) % len(table)]
    for stored, value in bucket:
        if stored == key:  # 通常第一个就是
            return value
    return None
\`\`\`

> 表太满时会换成更多的桶，重新安排一遍。`,
  },
};

const titles = { en: ['Notes on celadon glazes', 'Plan a weekend in Hangzhou', 'Refactor the parser'], zh: ['青瓷釉色笔记', '安排一个杭州周末', '重构解析器'] };

for (const language of ['en', 'zh']) {
  for (const theme of ['light', 'dark']) {
    for (const width of [390, 1280]) {
      test(`${language} ${theme} ${width}`, async ({ page, scripted }) => {
        test.setTimeout(120_000);
        scripted.state.tokensPerSecond = 5_000;
        const { text, reasoning, ask } = sample[language];
        scripted.state.scripts.sample = { ask, text, reasoning, rate: 600 };
        await page.setViewportSize({ width, height: width === 390 ? 844 : 860 });
        await open(page, scripted.url, { language, theme });
        const shot = async (name) => {
          await expectAccessible(page, `${name} ${language} ${theme} ${width}`);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          expect.soft(wide, `${name} is wider than the window`).toBeLessThanOrEqual(0);
          await page.screenshot({ path: `build/ui/shots/${name}-${language}-${theme}-${width}.png` });
        };
        await shot('start');
        for (const title of titles[language]) {
          await say(page, title);
          await answer(page);
          await page.evaluate(() => (location.hash = '/'));
          await expect(page.locator('.message')).toHaveCount(0);
        }
        await say(page, ask);
        const last = await answer(page);
        await expect(last.locator('math').first()).toBeVisible();
        await expect(last.locator('.hljs-keyword').first()).toBeVisible();
        await page.locator('#composer').blur();
        await page.locator('.scroller').evaluate((node) => (node.scrollTop = 0));
        await shot('chat');
        await page.locator('.scroller').evaluate((node) => (node.scrollTop = node.scrollHeight));
        await shot('chat-end');
        await page.locator('.composer').getByRole('button', { name: /^(Thinking|思考)/ }).click();
        await shot('thinking');
        await page.keyboard.press('Escape');
        await page.locator('.composer').getByRole('button', { name: /^(Workflow|工作流)/ }).click();
        await shot('workflow');
        await page.keyboard.press('Escape');
        await page.getByRole('button', { name: /^(Choose a model|选择模型)/ }).click();
        await shot('models');
        await page.keyboard.press('Escape');
        if (width === 390) {
          await page.locator('header').getByRole('button', { name: /^(Show or hide|显示或隐藏)/ }).click();
          await shot('sidebar');
          await page.keyboard.press('Escape');
        }
        for (const [name, query] of [['palette', ''], ['params', 'This conversation|本次对话'], ['settings', 'Settings|设置'], ['prompts', 'Prompts|提示词'], ['shortcuts', 'Keyboard|键盘']]) {
          await page.keyboard.press('Control+k');
          await page.getByRole('combobox').waitFor();
          if (query !== '') {
            await page.getByRole('combobox').fill(query.split('|')[language === 'en' ? 0 : 1]);
            await page.getByRole('option').filter({ hasText: new RegExp(`^\\s*(${query})`) }).first().click();
            await page.locator('dialog h2').waitFor();
          }
          await shot(name);
          await page.keyboard.press('Escape');
          await expect(page.locator('dialog')).toHaveCount(0);
        }
        await page.goto(`${scripted.url}#/server`);
        await expect(page.locator('dd').first()).not.toHaveText('0');
        await page.waitForTimeout(4_500);
        await shot('server');
      });
    }
  }
}
