// One scenario of OpenAI's own Node SDK: node client.mjs SCENARIO BASE_URL MODEL. Prints JSON lines.
import OpenAI from 'openai';

const [scenario, baseURL, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: 'none', maxRetries: 0 });
const messages = [{ role: 'user', content: 'print the list' }];
const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: { type: 'object', properties: { city: { enum: ['Rome', 'Oslo'] } }, required: ['city'] },
    },
  },
];
const say = (value) => console.log(JSON.stringify(value));

async function failure(call) {
  try {
    await call();
  } catch (error) {
    const kind = error.constructor.name;
    const { status, code, param, requestID, message } = error;
    return say({ class: kind, status, code, param, request_id: requestID, message });
  }
  throw new Error('the call succeeded');
}

const scenarios = {
  async models() {
    const ids = [];
    for await (const each of client.models.list()) ids.push(each.id);
    say({ ids, owner: (await client.models.retrieve(model)).owned_by });
  },

  async chat() {
    const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
    const [choice] = data.choices;
    say({
      model: data.model,
      content: choice.message.content,
      finish_reason: choice.finish_reason,
      total_tokens: data.usage.total_tokens,
      request_id: data._request_id,
      served: response.headers.get('x-portico-model'),
    });
  },

  async stream() {
    const stream_options = { include_usage: true };
    const stream = await client.chat.completions.create({ model, messages, stream: true, stream_options });
    const told = { role: null, pieces: [], finish_reason: null, total_tokens: null };
    for await (const { choices, usage } of stream) {
      for (const { delta, finish_reason } of choices) {
        told.role ??= delta.role;
        if (delta.content) told.pieces.push(delta.content);
        told.finish_reason ??= finish_reason;
      }
      told.total_tokens ??= usage?.total_tokens ?? null;
    }
    say(told);
  },

  async tools() {
    // At temperature 0 the tiny model's arguments are whole before the limit ends it.
    const request = { model, messages, tools, temperature: 0, max_tokens: 400 };
    const { message } = (await client.chat.completions.create(request)).choices[0];
    const whole = message.tool_calls[0].function;
    const streamed = { name: '', arguments: '' };
    for await (const { choices } of await client.chat.completions.create({ ...request, stream: true })) {
      for (const call of choices.flatMap(({ delta }) => delta.tool_calls ?? [])) {
        if (call.index !== 0) continue;
        streamed.name += call.function.name ?? '';
        streamed.arguments += call.function.arguments ?? '';
      }
    }
    const result = { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'rain' };
    const after = await client.chat.completions.create({
      ...request,
      messages: [...messages, message, result],
      max_tokens: 30,
    });
    say({ whole, streamed, after: after.choices[0].message.content });
  },

  error: () => failure(() => client.chat.completions.create({ model, messages })),

  refused: () => failure(() => client.chat.completions.create({ model, messages, tools })),

  invalid: () => failure(() => client.chat.completions.create({ model, messages: [{ content: 'no role' }] })),

  broken: () =>
    failure(async () => {
      for await (const { choices } of await client.chat.completions.create({ model, messages, stream: true }))
        if (choices[0]?.delta.content) say(choices[0].delta.content);
    }),

  // Leaves in mid-stream, and stays alive until its stdin is closed.
  async abort() {
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const { choices } of stream) if (choices[0]?.delta.content) break;
    stream.controller.abort();
    say('aborted');
    for await (const _ of process.stdin);
  },

  async complete() {
    const request = { model, prompt: 'print the list', max_tokens: 16 };
    const whole = await client.completions.create(request);
    let streamed = '';
    for await (const { choices } of await client.completions.create({ ...request, stream: true }))
      streamed += choices[0]?.text ?? '';
    say({ text: whole.choices[0].text, streamed, total_tokens: whole.usage.total_tokens });
  },

  async embed() {
    const { data, usage } = await client.embeddings.create({ model, input: ['one', 'two'] });
    say({ vectors: data.map(({ embedding }) => embedding), total_tokens: usage.total_tokens });
  },
};

await scenarios[scenario]();
