// The API with scripted answers, for tests of the page: every token's text and time is known. The
// page itself comes from the real program (PAGE_URL), headers and all.
// node scripted_server.mjs PORT PAGE_URL
import { createServer, request as httpRequest } from 'node:http';

const scripts = {
  hello: { text: 'Hello! **How** can I help?' },
  think: { reasoning: 'The user greets me. I should greet back, briefly.', text: 'Hello there.' },
  cut: { text: 'This sentence is cut', finish: 'length' },
  fail: { error: { message: 'the engine stopped', param: null } },
  drop: { text: 'Half of an ans', drop: true },
};

export const state = { requests: [], thinkingFinished: 0, refuse: [], models: undefined, tokensPerSecond: 200, scripts };

function pieces(text) {
  return text.match(/[\s\S]{1,4}/gu) ?? [];
}

function scriptFor(body) {
  const last = body.messages.at(-1)?.content ?? '';
  for (const [, name] of last.matchAll(/script:(\w+)/gu)) {
    if (state.scripts[name]) return state.scripts[name];
  }
  const asked = Object.values(state.scripts).find((script) => script.ask === last);
  if (asked) return asked;
  return { text: `You said: ${last}` };
}

async function chat(body, response, closed) {
  const script = scriptFor(body);
  const id = `chatcmpl-${state.requests.length}`;
  const send = (value) => response.write(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`);
  const chunk = (delta, finish = null, more = {}) =>
    send({ id, object: 'chat.completion.chunk', model: body.model, choices: [{ index: 0, delta, finish_reason: finish }], ...more });
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const pause = 1000 / (script.rate ?? state.tokensPerSecond);
  response.writeHead(200, { 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
  chunk({ role: 'assistant', content: '' });
  if (script.error) {
    send({ error: script.error });
    send('[DONE]');
    return response.end();
  }
  let tokens = 0;
  let due = performance.now();
  const pace = async () => {
    ++tokens;
    due += pause;
    const left = due - performance.now();
    if (left > 0) await wait(left);
  };
  const finished = state.thinkingFinished;
  for (const piece of pieces(script.reasoning ?? '')) {
    if (closed.value) return;
    if (state.thinkingFinished > finished) break;
    chunk({ reasoning_content: piece });
    await pace();
  }
  const reasoning_tokens = tokens;
  for (const piece of pieces(script.text ?? '')) {
    if (closed.value) return;
    chunk({ content: piece });
    await pace();
  }
  if (script.drop) {
    await wait(500); // what was written gets through first
    return response.destroy();
  }
  chunk({}, script.finish ?? 'stop', script.reasoning ? { x_thinking: { mode: 'on', reason: 'scripted' } } : {});
  send({
    id,
    choices: [],
    usage: {
      prompt_tokens: 40,
      completion_tokens: tokens,
      total_tokens: 40 + tokens,
      prompt_tokens_details: { cached_tokens: 24 },
      completion_tokens_details: { reasoning_tokens },
    },
  });
  send('[DONE]');
  response.end();
}

const defaultModels = [
  { id: 'scripted', object: 'model', owned_by: 'yunqi', max_model_len: 4096, status: { state: 'ready' }, meta: { architecture: 'qwen3', parameters: 596049920, weight_bytes: 640000000 } },
  { id: 'scripted-coder', object: 'model', owned_by: 'yunqi', max_model_len: 32768, status: { state: 'loading', progress: 0.4 }, meta: { architecture: 'qwen2', parameters: 1543714304, weight_bytes: 1117320768 } },
];

function json(response, status, value) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(value));
}

function metrics() {
  const sent = state.requests.length;
  return [
    `yunqi_requests_running{model="scripted"} 1`,
    `yunqi_requests_waiting{model="scripted"} 0`,
    `yunqi_kv_usage_ratio{model="scripted"} 0.27`,
    `yunqi_prompt_tokens_total{model="scripted"} ${40 * sent + 1200}`,
    `yunqi_generation_tokens_total{model="scripted"} ${Math.floor(performance.now() / 12)}`,
    `yunqi_requests_finished_total{model="scripted",reason="stop"} ${sent}`,
    `yunqi_time_to_first_token_seconds_sum{model="scripted"} 4.2`,
    `yunqi_time_to_first_token_seconds_count{model="scripted"} 20`,
    '',
  ].join('\n');
}

function proxy(request, response, page) {
  const upstream = httpRequest(
    new URL(request.url, page),
    { headers: { ...request.headers, host: page.host } },
    (reply) => {
      response.writeHead(reply.statusCode, reply.headers);
      reply.pipe(response);
    },
  );
  upstream.on('error', () => json(response, 502, { error: { message: 'no page' } }));
  upstream.end();
}

export function serve(port, pageUrl) {
  const page = new URL(pageUrl);
  const server = createServer((request, response) => {
    const chunks = [];
    request.on('data', (data) => chunks.push(data));
    request.on('end', () => {
      const path = new URL(request.url, 'http://localhost').pathname;
      if (path === '/v1/models') return json(response, 200, { object: 'list', data: state.models ?? defaultModels });
      if (path === '/metrics') {
        response.writeHead(200, { 'Content-Type': 'text/plain' });
        return response.end(metrics());
      }
      if (path.endsWith('/finish_thinking')) {
        ++state.thinkingFinished;
        return json(response, 200, {});
      }
      if (path !== '/v1/chat/completions') return proxy(request, response, page);
      const body = JSON.parse(Buffer.concat(chunks).toString());
      const refused = state.refuse.find((field) => field in body);
      if (refused) return json(response, 400, { error: { message: `${refused} is not supported yet`, param: refused } });
      state.requests.push(body);
      const closed = { value: false };
      response.on('close', () => (closed.value = true));
      return void chat(body, response, closed);
    });
  });
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}
