// Flows of the chat, with scripted answers under the real program's page.
import { answer, expect, open, say, test } from './fixtures.mjs';

test.beforeEach(({ scripted }) => {
  scripted.state.requests.length = 0;
  scripted.state.refuse = [];
  scripted.state.tokensPerSecond = 200;
});

test('streams an answer with thinking, figures and the notice', async ({ page, scripted }) => {
  await open(page, scripted.url);
  await say(page, 'script:think');
  const last = await answer(page);
  await expect(last).toContainText('Hello there.');
  await expect(last).toContainText('AI-generated content');
  await expect(last).toContainText('tokens/s');
  await expect(last).toContainText('60% of the prompt cached');
  await expect(last).not.toContainText('The user greets me');
  await last.getByRole('button', { name: /Thought for/ }).click();
  await expect(last).toContainText('The user greets me');
  expect(scripted.state.requests[0]).toMatchObject({ model: 'scripted', enable_thinking: 'auto', stream: true });
  await expect(page.getByRole('meter')).toHaveAttribute('aria-valuenow', '56');
});

test('stops, continues, regenerates and turns between versions', async ({ page, scripted, watch }) => {
  watch.expected = /400/u;
  scripted.state.scripts.long = { text: 'word '.repeat(400), rate: 50 };
  await open(page, scripted.url);
  await say(page, 'script:long');
  await expect(page.locator('.message.assistant .prose')).toContainText('word');
  await page.keyboard.press('Escape');
  const last = await answer(page);
  await expect(last).toContainText('Stopped');
  scripted.state.refuse = ['continue_final_message'];
  await last.getByRole('button', { name: 'Continue' }).click();
  await expect(last).toContainText('You said: Continue exactly');
  await answer(page);
  await last.getByRole('button', { name: 'Regenerate' }).click();
  await page.keyboard.press('Escape');
  await answer(page);
  await expect(page.getByRole('img', { name: 'Version 2 of 2' })).toBeVisible();
  await page.getByRole('button', { name: 'Previous version' }).click();
  await expect(page.locator('.message.assistant')).toContainText('You said: Continue exactly');
});

test('an edited message is a new branch; both stay, also after a reload', async ({ page, scripted }) => {
  await open(page, scripted.url);
  await say(page, 'first question');
  await answer(page);
  await say(page, 'second question');
  await answer(page);
  await page.locator('#composer').press('ArrowUp');
  await page.getByLabel('Edit message').fill('another question');
  await page.getByRole('button', { name: 'Send as a new branch' }).click();
  await expect(await answer(page)).toContainText('You said: another question');
  expect(scripted.state.requests.at(-1).messages.map((message) => message.content)).toEqual(['first question', 'You said: first question', 'another question']);
  await page.reload();
  await expect(page.locator('.message.assistant').last()).toContainText('another question');
  await page.locator('.message.user').last().hover();
  await page.getByRole('button', { name: 'Previous version' }).last().click();
  await expect(page.locator('.message.assistant').last()).toContainText('You said: second question');
});

test('deletes a message with undo', async ({ page, scripted }) => {
  await open(page, scripted.url);
  await say(page, 'one');
  await answer(page);
  await page.locator('.message.assistant').getByRole('button', { name: 'More' }).click();
  await page.getByRole('button', { name: 'Delete message' }).click();
  await expect(page.locator('.message.assistant')).toHaveCount(0);
  await page.getByRole('button', { name: 'Undo' }).click();
  await expect(page.locator('.message.assistant')).toContainText('You said: one');
});

test('errors say what to do, and a lost connection keeps what came', async ({ page, scripted, watch }) => {
  watch.expected = /ERR_|Failed to load/u;
  await open(page, scripted.url);
  await say(page, 'script:fail');
  await expect(page.getByRole('alert')).toContainText('the engine stopped');
  await page.getByRole('button', { name: 'New chat' }).first().click();
  await say(page, 'script:drop');
  await expect(page.getByRole('alert')).toContainText('lost in the middle');
  await expect(page.locator('.message.assistant')).toContainText('Half of an ans');
  await expect(page.locator('.message.assistant').getByRole('button', { name: 'Continue' })).toBeVisible();
});

test('fields that the server refuses are left out and named', async ({ page, scripted, watch }) => {
  watch.expected = /400/u;
  scripted.state.refuse = ['thinking_budget'];
  await open(page, scripted.url, { thinking: 'on', thinkingBudget: 32 });
  await say(page, 'hello');
  await expect(await answer(page)).toContainText('Not supported by this server yet: thinking_budget');
  expect(scripted.state.requests[0]).toMatchObject({ enable_thinking: true });
});

test('thinking: mode and budget are sent; it can be ended while it runs', async ({ page, scripted }) => {
  scripted.state.scripts.ponder = { reasoning: 'hmm '.repeat(500), text: 'Done.', rate: 40 };
  await open(page, scripted.url);
  await page.getByRole('button', { name: 'Thinking: Auto' }).click();
  await page.getByText('On', { exact: true }).click();
  await page.getByLabel(/Budget/).fill('256');
  await page.keyboard.press('Escape');
  await say(page, 'script:ponder');
  await page.getByRole('button', { name: 'Finish thinking now' }).click();
  await expect(await answer(page)).toContainText('Done.');
  expect(scripted.state.requests[0]).toMatchObject({ enable_thinking: true, thinking_budget: 256 });
});

test('workflows: routed by the text, shown as a chip, changed by the user', async ({ page, scripted }) => {
  await open(page, scripted.url);
  await page.locator('#composer').fill('翻译：你好');
  await expect(page.getByRole('button', { name: 'Workflow: Translate' })).toBeVisible();
  await page.getByLabel('Into').selectOption('fr');
  await page.locator('#composer').press('Enter');
  await answer(page);
  const [system, user] = scripted.state.requests[0].messages;
  expect(system.content).toContain('translator');
  expect(user.content).toContain('into French');
  await expect(page.locator('.message.user')).toContainText('翻译：你好');
  await expect(page.locator('.message.user')).not.toContainText('into French');
  await page.locator('#composer').fill('plain words');
  await page.getByRole('button', { name: 'Workflow: Chat' }).click();
  await page.getByRole('button', { name: /^Code/ }).click();
  await page.locator('#composer').press('Enter');
  await expect(page.locator('.message.user')).toHaveCount(2);
  await answer(page);
  expect(scripted.state.requests[1].messages[0].content).toContain('programmer');
});

test('long texts: outline first, then every section', async ({ page, scripted }) => {
  scripted.state.scripts.outline = { text: '1. Roots\n2. Leaves' };
  await open(page, scripted.url);
  await page.locator('#composer').fill('Write an essay, script:outline');
  await page.locator('#composer').press('Enter');
  const last = await answer(page);
  await expect(last.getByRole('heading', { name: 'Roots' })).toBeVisible();
  await expect(last.getByRole('heading', { name: 'Leaves' })).toBeVisible();
  expect(scripted.state.requests).toHaveLength(3);
});

test('files: a CSV becomes exact figures, a chart is drawn, binary files are refused', async ({ page, scripted }) => {
  scripted.state.scripts.chart = { text: '```chart\n{"type":"bar","title":"Sales","labels":["Jan","Feb"],"values":[3,5]}\n```' };
  await open(page, scripted.url);
  await page.locator('input[type=file]').first().setInputFiles([
    { name: 'sales.csv', mimeType: 'text/csv', buffer: Buffer.from('month,sales\nJan,3\nFeb,5\n') },
    { name: 'x.pdf', mimeType: 'application/pdf', buffer: Buffer.from([0x25, 0, 1, 2]) },
  ]);
  await expect(page.getByText('x.pdf: only text files')).toBeVisible();
  await expect(page.getByRole('button', { name: 'Workflow: Data' })).toBeVisible();
  await say(page, 'Which month? script:chart');
  await expect((await answer(page)).locator('figure svg rect')).toHaveCount(2);
  expect(scripted.state.requests[0].messages.at(-1).content).toContain('sales: numbers; count 2; sum 8; mean 4');
});

test('finds conversations by two Chinese characters, prompts, models, pages', async ({ page, scripted }) => {
  await open(page, scripted.url);
  await say(page, '我们去北京大学参观');
  await answer(page);
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('京大');
  await expect(page.getByRole('option').first()).toContainText('京大');
  await page.getByRole('combobox').fill('dark');
  await page.keyboard.press('Enter');
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('scripted-coder');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'Choose a model' })).toContainText('scripted-coder');
});

test('a temporary chat leaves nothing behind', async ({ page, scripted }) => {
  await open(page, scripted.url);
  await page.getByRole('button', { name: 'Temporary chat' }).click();
  await say(page, 'secret');
  await answer(page);
  await expect(page.locator('.sidebar')).not.toContainText('secret');
  await page.reload();
  await expect(page.locator('.message')).toHaveCount(0);
});

test('exports with the notice and imports again', async ({ page, scripted }) => {
  await open(page, scripted.url, { language: 'zh' });
  await say(page, '你好');
  await answer(page);
  await page.locator('.sidebar li').hover();
  await page.locator('.sidebar li').getByRole('button').click();
  const [markdown] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: '导出为 Markdown' }).click()]);
  const chunks = [];
  for await (const chunk of await markdown.createReadStream()) chunks.push(chunk);
  expect(Buffer.concat(chunks).toString()).toContain('内容由AI生成，请核实');
  await page.getByRole('button', { name: '设置' }).click();
  const [json] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: '全部导出' }).click()]);
  await page.locator('dialog input[type=file]').setInputFiles(await json.path());
  await expect(page.locator('.sidebar li')).toHaveCount(2);
});

test('works under a prefix', async ({ page, scripted }) => {
  // The scripted server is asked for /some/prefix/... through a route that strips it, as proxies do.
  await page.route('**/some/prefix/**', async (route) => {
    const url = route.request().url().replace('/some/prefix', '');
    await route.fulfill({ response: await route.fetch({ url }) });
  });
  await open(page, `${scripted.url}some/prefix/`);
  await say(page, 'script:hello');
  await expect(await answer(page)).toContainText('How can I help?');
});

test('while an answer grows, finished blocks stay and a reader who scrolled up is not moved', async ({ page, scripted }) => {
  const paragraphs = Array.from({ length: 60 }, (_, i) => `Paragraph ${i} with **bold** words and \`code\`.`);
  scripted.state.scripts.grow = { text: `${paragraphs.join('\n\n')}\n\n\`\`\`js\n${'let a = 1;\n'.repeat(40)}\`\`\`\n`, rate: 150 };
  await page.setViewportSize({ width: 1280, height: 600 });
  await open(page, scripted.url);
  await say(page, 'script:grow');
  await expect(page.locator('.prose .block').nth(12)).toBeAttached();
  // Changes to blocks that were finished when the watch began.
  await page.evaluate(() => {
    window.touched = 0;
    const old = [...document.querySelectorAll('.prose > .block')].slice(0, 10);
    window.old = old;
    new MutationObserver((list) => {
      for (const { target } of list) if (old.some((block) => block.contains(target))) ++window.touched;
    }).observe(document.querySelector('.prose'), { subtree: true, childList: true, characterData: true, attributes: true });
  });
  const scroller = page.locator('.chat .scroller');
  await scroller.hover();
  await page.mouse.wheel(0, -400);
  await expect(page.getByRole('button', { name: 'Jump to the newest' })).toBeVisible();
  const top = await scroller.evaluate((node) => node.scrollTop);
  const place = await page.evaluate(() => window.old[5].getBoundingClientRect().top);
  await answer(page);
  expect(await scroller.evaluate((node) => node.scrollTop)).toBe(top);
  expect(await page.evaluate(() => window.old[5].getBoundingClientRect().top)).toBe(place);
  expect(await page.evaluate(() => [window.touched, window.old.every((block) => block.isConnected)])).toEqual([0, true]);
  await page.getByRole('button', { name: 'Jump to the newest' }).click();
  await expect(page.getByRole('button', { name: 'Jump to the newest' })).toHaveCount(0);
});

test('a reload in the middle of an answer keeps what was written', async ({ page, scripted, watch }) => {
  watch.expected = /Failed|abort/iu;
  scripted.state.scripts.slow = { text: 'steady words '.repeat(300), rate: 60 };
  await open(page, scripted.url);
  await say(page, 'script:slow');
  await expect(page.locator('.message.assistant .prose')).toContainText('steady words '.repeat(20).trim());
  await page.reload();
  const last = page.locator('.message.assistant').last();
  await expect(last).toContainText('steady words');
  await expect(last).toContainText('Stopped');
  await expect(last.getByRole('button', { name: 'Continue' })).toBeVisible();
});

test('500 messages open with the newest drawn, and older ones come with scrolling', async ({ page, scripted }) => {
  await open(page, scripted.url);
  const items = Array.from({ length: 500 }, (_, i) => ({
    id: `i${i}`,
    role: i % 2 ? 'assistant' : 'user',
    parent_id: i === 0 ? null : `i${i - 1}`,
    content: `message ${i} **bold**`,
    created_at: i + 1,
  }));
  const file = { format: 'yunqi.conversations', version: 1, conversations: [{ conversation: { title: 'Long one', leaf_id: 'i499' }, items }] };
  await page.getByRole('button', { name: 'Settings' }).click();
  await page.locator('dialog input[type=file]').setInputFiles({ name: 'x.json', mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(file)) });
  await expect(page.getByText('1 conversations imported')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('link', { name: 'Long one' }).click();
  await expect(page.getByText('message 499')).toBeInViewport();
  expect(await page.locator('.message').count()).toBe(30);
  await page.locator('.chat .scroller').evaluate((node) => (node.scrollTop = 0));
  await expect(page.locator('.message')).not.toHaveCount(30);
  await expect(page.getByText('message 470')).toBeAttached();
});
