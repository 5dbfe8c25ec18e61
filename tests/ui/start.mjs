// Starts the program once for all tests, with a synthetic model (or YUNQI_TEST_MODEL), on a free
// port of loopback; its page and API are at process.env.YUNQI_URL (which, when set, is used as is).
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../..');
const START_MS = 120_000;

function model(binary) {
  if (process.env.YUNQI_TEST_MODEL) return process.env.YUNQI_TEST_MODEL;
  const folder = join(root, 'build/ui');
  const file = join(folder, 'synthetic.gguf');
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    execFileSync(binary, ['import', '--synthetic', process.env.YUNQI_SYNTHETIC ?? 'qwen3:0.6b', file], { stdio: 'inherit' });
  }
  return file;
}

export default async function start() {
  if (process.env.YUNQI_URL) return undefined; // one that runs already
  const binary = process.env.YUNQI_BINARY ?? join(root, 'build/release/yunqi');
  const server = spawn(binary, ['serve', model(binary), '--port', '0', '--context', '2048'], { stdio: ['ignore', 'inherit', 'pipe'] });
  process.env.YUNQI_URL = await new Promise((resolve, reject) => {
    let log = '';
    const timer = setTimeout(() => reject(new Error(`the program did not start:\n${log}`)), START_MS);
    server.stderr.on('data', (data) => {
      log += data;
      const ready = /ready on (http:\S+)/u.exec(log);
      if (!ready) return;
      clearTimeout(timer);
      resolve(ready[1].replace('0.0.0.0', '127.0.0.1'));
    });
    server.on('exit', (code) => reject(new Error(`the program ended with ${code}:\n${log}`)));
  });
  return async () => {
    server.removeAllListeners('exit');
    const gone = new Promise((resolve) => server.on('exit', resolve));
    server.kill('SIGTERM');
    setTimeout(() => server.kill('SIGKILL'), 10_000).unref();
    await gone;
  };
}
