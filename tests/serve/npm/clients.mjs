// The official clients of each API against a running `hadal serve` with the embedded model: chat, streams, a tool's
// round trip, errors, abort. And the recorded requests of real agents, where the folder that holds them is there.
//
//   node clients.mjs --hadal BUILD/bin/hadal --work BUILD/tests/serve/npm [--agents FOLDER]
//
// The packages are installed into --work from the lock file beside this script. Exit codes: 0 all passed, 1 not, 77
// skipped because the packages could not be fetched.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installPackages, startServer } from './harness.mjs';

const { values: options } = parseArgs({
  options: { hadal: { type: 'string' }, work: { type: 'string' }, agents: { type: 'string', default: '' } },
});

const QUESTION = 'What is the capital of France?';
const WEATHER = 'What is the weather in Paris?';
const SCHEMA = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] };
const TOOL = { name: 'get_weather', description: 'Get the weather.' };

const cases = [];
const test = (name, run) => cases.push({ name, run });

function openaiTests(OpenAI, address) {
  const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: 'none', maxRetries: 0 });
  const tools = [{ type: 'function', function: { ...TOOL, parameters: SCHEMA } }];
  const base = { model: 'v4-tiny', temperature: 0, max_tokens: 300 };
  const ask = (content) => ({ ...base, messages: [{ role: 'user', content }] });

  test('openai: models', async () => {
    const models = await client.models.list();
    assert.equal(models.data[0].id, 'v4-tiny');
    assert.equal((await client.models.retrieve('v4-tiny')).id, 'v4-tiny');
  });
  test('openai: chat, plain and streamed, say the same', async () => {
    const plain = await client.chat.completions.create(ask(QUESTION));
    assert.match(plain.choices[0].message.content, /Paris/);
    assert.equal(plain.choices[0].finish_reason, 'stop');
    assert.equal(plain.usage.total_tokens, plain.usage.prompt_tokens + plain.usage.completion_tokens);
    let text = '';
    let usage = null;
    const stream = await client.chat.completions.create({
      ...ask(QUESTION),
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, plain.choices[0].message.content);
    assert.equal(usage.completion_tokens, plain.usage.completion_tokens);
  });
  test('openai: the stream helper ends with the whole message', async () => {
    const final = await client.chat.completions.stream(ask(QUESTION)).finalChatCompletion();
    assert.match(final.choices[0].message.content, /Paris/);
  });
  test('openai: a tool, there and back', async () => {
    const stream = client.chat.completions.stream({ ...ask(WEATHER), tools });
    const first = (await stream.finalChatCompletion()).choices[0];
    assert.equal(first.finish_reason, 'tool_calls');
    const [call] = first.message.tool_calls;
    assert.equal(call.function.name, 'get_weather');
    assert.equal(JSON.parse(call.function.arguments).city, 'Paris');
    const messages = [
      { role: 'user', content: WEATHER },
      { role: 'assistant', content: first.message.content, tool_calls: first.message.tool_calls },
      { role: 'tool', tool_call_id: call.id, content: 'Sunny, 21 degrees' },
    ];
    const second = await client.chat.completions.create({ ...base, messages, tools });
    assert.ok(second.choices[0].message.content.length > 0);
    assert.ok(second.usage.prompt_tokens_details.cached_tokens >= 128, 'the prompt is found again');
  });
  test('openai: logprobs, n, seed, stop', async () => {
    const answer = await client.chat.completions.create({
      ...ask(QUESTION),
      thinking: { type: 'disabled' },
      logprobs: true,
      top_logprobs: 2,
      n: 2,
    });
    assert.equal(answer.choices.length, 2);
    const { content } = answer.choices[0].logprobs;
    const bytes = Buffer.from(content.flatMap((token) => token.bytes)).toString();
    assert.equal(bytes, answer.choices[0].message.content);
    assert.equal(content[0].top_logprobs.length, 2);
    const random = { ...ask('Tell me a story.'), temperature: 1, seed: 5, max_tokens: 20 };
    const [one, two] = await Promise.all([1, 2].map(() => client.chat.completions.create(random)));
    assert.equal(one.choices[0].message.content, two.choices[0].message.content);
    const stopped = await client.chat.completions.create({ ...ask(QUESTION), stop: ['capital'] });
    assert.equal(stopped.choices[0].finish_reason, 'stop');
    assert.ok(!stopped.choices[0].message.content.includes('capital'));
  });
  test('openai: errors have their classes', async () => {
    await assert.rejects(client.chat.completions.create({ ...ask('x'), temperature: 9 }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, 'temperature');
      return true;
    });
    await assert.rejects(client.chat.completions.create({ ...ask('x'), model: 'other' }), OpenAI.NotFoundError);
  });
  test('openai: abort ends the request on the server', async () => {
    const stream = await client.chat.completions.create({
      ...ask('Count to a thousand.'),
      stream: true,
      max_tokens: 8000,
      logit_bias: { 1: -100 },
    });
    for await (const chunk of stream) {
      if (chunk.choices[0]?.delta) break;
    }
    stream.controller.abort();
    for (let i = 0; i < 100; ++i) {
      const status = await (await fetch(`${address}/v1/admin/status`)).json();
      if (status.running === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.fail('the request still runs');
  });
  test('openai: completions', async () => {
    const request = { model: 'v4-tiny', prompt: 'Once upon a time', max_tokens: 8, temperature: 0 };
    const answer = await client.completions.create(request);
    assert.ok(answer.choices[0].text.length > 0);
  });
  test('openai: responses, chained and with a tool', async () => {
    const flat = [{ type: 'function', ...TOOL, parameters: SCHEMA, strict: false }];
    const first = await client.responses.create({ model: 'v4-tiny', input: QUESTION, temperature: 0 });
    assert.match(first.output_text, /Paris/);
    const next = await client.responses.create({
      model: 'v4-tiny',
      previous_response_id: first.id,
      input: 'And of Italy?',
      temperature: 0,
      max_output_tokens: 100,
    });
    assert.ok(next.usage.input_tokens > first.usage.input_tokens);
    assert.equal((await client.responses.retrieve(first.id)).id, first.id);
    await assert.rejects(
      client.responses.create({ model: 'v4-tiny', previous_response_id: 'resp_x', input: 'x' }),
      OpenAI.BadRequestError,
    );
    const stream = client.responses.stream({ model: 'v4-tiny', input: WEATHER, tools: flat, temperature: 0 });
    const types = [];
    for await (const event of stream) types.push(event.type);
    const final = await stream.finalResponse();
    const call = final.output.find((item) => item.type === 'function_call');
    assert.equal(JSON.parse(call.arguments).city, 'Paris');
    assert.equal(types[0], 'response.created');
    assert.equal(types.at(-1), 'response.completed');
    const input = [
      { role: 'user', content: WEATHER },
      ...final.output,
      { type: 'function_call_output', call_id: call.call_id, output: 'Sunny' },
    ];
    const back = { model: 'v4-tiny', input, tools: flat, temperature: 0, store: false };
    const answer = await client.responses.create(back);
    assert.ok(answer.output_text.length > 0);
  });
}

function anthropicTests(Anthropic, address) {
  const client = new Anthropic({ baseURL: address, apiKey: 'none', maxRetries: 0 });
  const tools = [{ ...TOOL, input_schema: SCHEMA }];
  const base = { model: 'v4-tiny', max_tokens: 300, temperature: 0 };
  const ask = (content) => ({ ...base, messages: [{ role: 'user', content }] });

  test('anthropic: plain, streamed and counted', async () => {
    const plain = await client.messages.create(ask(QUESTION));
    assert.match(plain.content[0].text, /Paris/);
    assert.equal(plain.stop_reason, 'end_turn');
    const streamed = await client.messages.stream(ask(QUESTION)).finalMessage();
    assert.deepEqual(streamed.content, plain.content);
    const { messages } = ask(QUESTION);
    const counted = await client.messages.countTokens({ model: 'v4-tiny', messages });
    const { input_tokens: input, cache_read_input_tokens: read, cache_creation_input_tokens: made } = plain.usage;
    assert.equal(counted.input_tokens, input + read + made);
  });
  test('anthropic: thinking and a tool, there and back', async () => {
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const first = await client.messages.stream({ ...ask(WEATHER), tools, thinking }).finalMessage();
    assert.equal(first.stop_reason, 'tool_use');
    assert.equal(first.content[0].type, 'thinking');
    assert.ok(first.content[0].signature.length > 0);
    const use = first.content.find((block) => block.type === 'tool_use');
    assert.deepEqual(use.input, { city: 'Paris' });
    const messages = [
      { role: 'user', content: WEATHER },
      { role: 'assistant', content: first.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: use.id, content: 'Sunny' }] },
    ];
    const second = await client.messages.create({ ...base, messages, tools, thinking });
    assert.ok(second.content.length > 0);
    assert.ok(second.usage.cache_read_input_tokens >= 128);
  });
  test('anthropic: stop sequences and errors', async () => {
    const stopped = await client.messages.create({ ...ask(QUESTION), stop_sequences: ['capital'] });
    assert.equal(stopped.stop_reason, 'stop_sequence');
    assert.equal(stopped.stop_sequence, 'capital');
    await assert.rejects(client.messages.create({ ...ask('x'), max_tokens: 0 }), Anthropic.BadRequestError);
    await assert.rejects(client.messages.create({ ...ask('x'), model: 'other' }), Anthropic.NotFoundError);
    const orphan = [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_zz', content: 'x' }] }];
    await assert.rejects(client.messages.create({ ...base, messages: orphan }), /toolu_zz/);
  });
}

function ollamaTests(Ollama, address) {
  const client = new Ollama({ host: address });
  const greedy = { temperature: 0 };
  test('ollama: list, show, chat, generate, tools', async () => {
    assert.equal((await client.list()).models[0].name, 'v4-tiny:latest');
    assert.ok((await client.show({ model: 'v4-tiny' })).capabilities.includes('tools'));
    const messages = [{ role: 'user', content: QUESTION }];
    const plain = await client.chat({ model: 'v4-tiny', messages, options: greedy, think: false });
    assert.match(plain.message.content, /Paris/);
    let text = '';
    const request = { model: 'v4-tiny', messages, options: greedy, think: false };
    for await (const part of await client.chat({ ...request, stream: true })) {
      text += part.message.content;
    }
    assert.equal(text, plain.message.content);
    const tools = [{ type: 'function', function: { ...TOOL, parameters: SCHEMA } }];
    const asked = [{ role: 'user', content: WEATHER }];
    const call = await client.chat({ model: 'v4-tiny', messages: asked, tools, options: greedy });
    assert.deepEqual(call.message.tool_calls[0].function.arguments, { city: 'Paris' });
    const back = [...asked, call.message, { role: 'tool', tool_name: 'get_weather', content: 'Sunny' }];
    const last = await client.chat({ model: 'v4-tiny', messages: back, tools, options: greedy });
    assert.ok(last.message.content.length > 0);
    const generated = await client.generate({ model: 'v4-tiny', prompt: QUESTION, options: greedy, think: false });
    assert.match(generated.response, /Paris/);
    await assert.rejects(client.chat({ model: 'other', messages }), /not found/);
  });
}

function aiSdkTests({ generateText, streamText, tool, jsonSchema, stepCountIs }, providers) {
  for (const [name, model] of Object.entries(providers)) {
    test(`ai sdk over ${name}: a loop with a tool`, async () => {
      let asked = '';
      const tools = {
        get_weather: tool({
          description: TOOL.description,
          inputSchema: jsonSchema(SCHEMA),
          execute: async ({ city }) => {
            asked = city;
            return 'Sunny';
          },
        }),
      };
      const looped = await generateText({ model, prompt: WEATHER, tools, temperature: 0, stopWhen: stepCountIs(2) });
      assert.equal(asked, 'Paris');
      assert.equal(looped.steps.length, 2);
    });
    test(`ai sdk over ${name}: a stream`, async () => {
      const stream = streamText({ model, prompt: QUESTION, temperature: 0, maxOutputTokens: 200 });
      let text = '';
      for await (const part of stream.textStream) text += part;
      assert.match(text, /Paris/);
      assert.ok((await stream.usage).outputTokens > 0);
    });
  }
}

function agentTests(folder, address) {
  const names = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith('.json')) : [];
  for (const name of names) {
    test(`agent: ${name}`, async () => {
      const { method, path, headers, body } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
      const limits = ['max_output_tokens', 'max_completion_tokens', 'max_tokens'];
      const limit = limits.find((key) => key in body) ?? ('input' in body ? limits[0] : limits[2]);
      const dropped = /^(host|content-length|connection|accept-encoding|authorization)$/i;
      const kept = Object.entries(headers).filter(([key]) => !dropped.test(key));
      const answer = await fetch(address + path, {
        method,
        headers: { ...Object.fromEntries(kept), authorization: 'Bearer none' },
        body: JSON.stringify({ ...body, model: 'v4-tiny', [limit]: 16 }),
      });
      const text = await answer.text();
      assert.equal(answer.status, 200, text.slice(0, 300));
      const events = text.split('\n\n').filter((event) => event !== '' && !event.startsWith(':'));
      for (const event of events) {
        const data = event.split('\n').find((line) => line.startsWith('data: '));
        assert.ok(data, event);
        if (data !== 'data: [DONE]') JSON.parse(data.slice(6));
      }
      assert.match(text, /\[DONE\]|message_stop|response\.(completed|incomplete)/);
    });
  }
}

const load = installPackages(options.work);
const { child, address } = await startServer(options.hadal);
let failed = 0;
try {
  openaiTests((await load('openai')).default, address);
  anthropicTests((await load('@anthropic-ai/sdk')).default, address);
  ollamaTests((await load('ollama')).Ollama, address);
  const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');
  const { createAnthropic } = await load('@ai-sdk/anthropic');
  const baseURL = `${address}/v1`;
  aiSdkTests(await load('ai'), {
    'chat completions': createOpenAICompatible({ name: 'hadal', baseURL, includeUsage: true })('v4-tiny'),
    messages: createAnthropic({ baseURL, apiKey: 'none' })('v4-tiny'),
  });
  agentTests(options.agents, address);
  for (const { name, run } of cases) {
    try {
      await run();
      console.log(`ok      ${name}`);
    } catch (error) {
      ++failed;
      console.log(`FAILED  ${name}\n${error.stack ?? error}`);
    }
  }
  console.log(`${cases.length - failed} passed, ${failed} failed`);
} finally {
  child.kill('SIGTERM');
}
process.exitCode = failed === 0 ? 0 : 1;
