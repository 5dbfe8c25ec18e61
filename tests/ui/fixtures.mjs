// What every page test watches: no request leaves loopback, nothing breaks the policy, no error
// reaches the console, and no injected script runs.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { expect, test as base } from '@playwright/test';
import { serve, state } from './scripted_server.mjs';

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const test = base.extend({
  // The scripted API with the real program's page.
  scripted: [
    async ({}, use) => {
      const server = await serve(0, process.env.YUNQI_URL);
      await use({ url: `http://127.0.0.1:${server.address().port}/`, state });
      server.closeAllConnections();
      server.close();
    },
    { scope: 'worker' },
  ],
  watch: [
    async ({ context }, use) => {
      const seen = { outside: [], violations: [], errors: [] };
      await context.route('**', (route) => {
        const { hostname, protocol } = new URL(route.request().url());
        if (hostname === '127.0.0.1' || protocol === 'data:' || protocol === 'blob:') return route.fallback();
        seen.outside.push(route.request().url());
        return route.abort();
      });
      await context.exposeBinding('reportViolation', (_, text) => seen.violations.push(text));
      await context.addInitScript(() => {
        document.addEventListener('securitypolicyviolation', (event) =>
          window.reportViolation(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`),
        );
      });
      context.on('weberror', (error) => seen.errors.push(error.error().message));
      context.on('console', (message) => {
        if (message.type() === 'error') seen.errors.push(message.text());
      });
      await use(seen);
      expect(seen.outside, 'requests that would leave this machine').toEqual([]);
      expect(seen.violations, 'breaks of the content security policy').toEqual([]);
      expect(seen.errors.filter((text) => !seen.expected?.test(text)), 'errors in the console').toEqual([]);
    },
    { auto: true },
  ],
});

export { expect };

export async function expectAccessible(page, where) {
  // Moving panels are judged when they have arrived.
  await page.waitForTimeout(350);
  await page.evaluate(axeSource);
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }),
  );
  const list = violations.map((item) => `${item.id}: ${item.nodes.map((node) => `${node.target} ${node.failureSummary}`).join(' | ')}`);
  expect.soft(list, where).toEqual([]);
}

export async function open(page, url, preferences = {}) {
  await page.addInitScript((value) => {
    if (!localStorage.getItem('yunqi.preferences')) localStorage.setItem('yunqi.preferences', value);
  }, JSON.stringify({ language: 'en', ...preferences }));
  await page.goto(url);
  await page.locator('#composer').waitFor();
}

export async function say(page, text) {
  await page.locator('#composer').fill(text);
  await page.locator('#composer').press('Enter');
}

// The last answer, when it is complete.
export async function answer(page) {
  await expect(page.locator('.message').last()).toHaveClass(/assistant/u);
  await expect(page.locator('.message.live')).toHaveCount(0);
  await expect(page.locator('button[type=submit].send')).toBeVisible();
  return page.locator('.message.assistant').last();
}
