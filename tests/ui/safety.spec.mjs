// What a model, a file name or a title holds is never run.
import { readFileSync } from 'node:fs';
import { answer, expect, open, say, test } from './fixtures.mjs';

const source = readFileSync(new URL('../../web/test/xss_corpus.ts', import.meta.url), 'utf8');
const { payloads } = await import(`data:text/javascript,${encodeURIComponent(source.replace(': string[]', ''))}`);

test('no payload runs: in answers, thoughts, messages, titles and file names', async ({ page, scripted }) => {
  test.setTimeout(120_000);
  expect(payloads.length).toBeGreaterThanOrEqual(60);
  await open(page, scripted.url);
  for (let at = 0; at < payloads.length; at += 20) {
    const some = payloads.slice(at, at + 20);
    scripted.state.scripts.attack = { reasoning: some.join('\n\n'), text: some.join('\n\n'), rate: 20_000 };
    await page.locator('input[type=file]').first().setInputFiles({ name: '<img src=x onerror=window.hit=1>.txt', mimeType: 'text/plain', buffer: Buffer.from(some.join('\n')) });
    await say(page, `${some[0]} script:attack`);
    const last = await answer(page);
    await last.getByRole('button', { name: /Thought for/ }).click();
    for (const link of await page.locator('.prose a').all()) {
      expect(await link.getAttribute('href')).toMatch(/^(https?:|mailto:)/iu);
      expect(await link.getAttribute('rel')).toContain('noopener');
    }
    await expect(page.locator('.prose :is(script, iframe, object, embed, form, input, style, link, meta, base)')).toHaveCount(0);
    await page.getByRole('button', { name: 'New chat' }).first().click();
  }
  // Titles and snippets in the palette are text too.
  await page.keyboard.press('Control+k');
  await page.getByRole('combobox').fill('onerror');
  await expect(page.getByRole('option').first()).toBeVisible();
  expect(await page.evaluate(() => window.hit)).toBeUndefined();
});

test('the page is served under a strict policy and kept by its hash', async ({ request }) => {
  const url = process.env.YUNQI_URL;
  const page = await request.get(url, { headers: { Accept: 'text/html' } });
  expect(page.headers()['content-security-policy']).not.toContain('unsafe');
  const body = await page.text();
  expect(body).not.toMatch(/<script(?![^>]*src=)/u);
  expect(body).not.toMatch(/<style|\son\w+=/u);
  const asset = /src="\.\/(assets\/[^"]+)"/u.exec(body)[1];
  const script = await request.get(`${url}/${asset}`, { headers: { 'Accept-Encoding': 'br' } });
  expect(script.headers()).toMatchObject({ 'content-encoding': 'br', 'cache-control': 'public, max-age=31536000, immutable' });
  const again = await request.get(url, { headers: { Accept: 'text/html', 'Accept-Encoding': 'identity', 'If-None-Match': '*' } });
  expect(again.status()).toBe(304);
  expect(await (await request.get(url, { headers: { Accept: '*/*' } })).text()).toContain('/v1/chat/completions');
});
