// The whole way with the program's own engine: page, API, tokens. With YUNQI_TEST_MODEL the answer
// is a real one; the synthetic model's is noise of the right length.
import { answer, expect, open, say, test } from './fixtures.mjs';

test('the program answers on its own page', async ({ page, watch }) => {
  test.setTimeout(180_000);
  // A model without thinking may refuse the fields for it; the page then leaves them out.
  watch.expected = /400/u;
  await open(page, `${process.env.YUNQI_URL}/`);
  await page.getByRole('button', { name: 'This conversation' }).click();
  await page.getByLabel('Longest answer').fill('96');
  await page.getByLabel('Temperature').fill('0');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Escape');
  await say(page, 'What is the capital of France? Answer in one short sentence.');
  await expect(page.locator('.message.assistant .prose, .message.assistant .thinking')).not.toHaveCount(0, { timeout: 60_000 });
  await expect(page.locator('button[type=submit].send')).toBeVisible({ timeout: 150_000 });
  const last = await answer(page);
  await expect(last.getByRole('alert')).toHaveCount(0);
  await expect(last).toContainText('tokens/s');
  if (process.env.YUNQI_TEST_MODEL) await expect(last).toContainText('Paris');
  await page.screenshot({ path: 'build/ui/shots/real.png' });
  await page.goto(`${process.env.YUNQI_URL}/#/server`);
  await expect(page.getByText('Tokens written')).toBeVisible();
});
