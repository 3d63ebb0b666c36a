// Answers in the format of a JSON Schema, checked by an independent validator: random schemas of the kind that APIs and
// agents send, each answered once by the embedded model at a high temperature. What cannot be enforced must be refused.
//
//   node schemas.mjs --hadal BUILD/bin/hadal --work BUILD/tests/serve/npm [--schemas 200] [--seed 1]
//
// Exit codes as clients.mjs.
import { parseArgs } from 'node:util';
import { installPackages, startServer } from './harness.mjs';

const { values: options } = parseArgs({
  options: {
    hadal: { type: 'string' },
    work: { type: 'string' },
    schemas: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
});

// A generator that gives the same schemas everywhere.
let state = Number(options.seed);
function random(below) {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state >>> 8) % below;
}
const pick = (list) => list[random(list.length)];

const NAMES = ['name', 'city', 'id', 'notes', 'größe', 'first-name', 'tags', 'value', 'is_open', 'n'];
const PATTERNS = ['^[A-Z]{2}-\\d{3}$', '^(red|green|blue)$', '^\\w{1,8}$', '^x[0-9a-f]{2}y$', '^[^\\s"]{1,5}$'];
const FORMATS = ['date', 'time', 'date-time', 'duration', 'email', 'hostname', 'uuid', 'ipv4', 'ipv6', 'uri'];

function makeString() {
  const kind = random(5);
  if (kind === 0) return { type: 'string', pattern: pick(PATTERNS) };
  if (kind === 1) return { type: 'string', format: pick(FORMATS) };
  if (kind === 2) return { enum: ['yes', 'no', 'It "depends"\n', 'ünknown'].slice(0, 1 + random(4)) };
  const minLength = random(4);
  return { type: 'string', minLength, maxLength: minLength + random(12) };
}

function makeNumber() {
  const minimum = random(200) - 100;
  const maximum = minimum + random(2000);
  if (random(3) === 0) return { type: 'number', minimum, maximum };
  if (random(4) === 0) return { type: 'number', minimum, multipleOf: 0.01, maximum };
  if (random(3) === 0) return { type: 'integer', exclusiveMinimum: minimum, maximum: maximum + 2 };
  return { type: 'integer', minimum, maximum };
}

function makeObject(depth) {
  const properties = {};
  for (let i = 0; i < 1 + random(4); ++i) properties[pick(NAMES)] = makeSchema(depth - 1);
  const required = Object.keys(properties).filter(() => random(4) > 0);
  return { type: 'object', properties, required, additionalProperties: false };
}

function makeArray(depth) {
  const minItems = random(3);
  if (random(4) === 0) {
    return { type: 'array', prefixItems: [makeSchema(0), makeSchema(0)], items: false, minItems: 1 };
  }
  return { type: 'array', items: makeSchema(depth - 1), minItems, maxItems: minItems + random(3) };
}

function makeSchema(depth) {
  const simple = [makeString, makeNumber, () => ({ type: 'boolean' }), () => ({ type: 'null' })];
  if (depth <= 0) return pick(simple)();
  const kind = random(8);
  if (kind < 3) return makeObject(depth);
  if (kind < 5) return makeArray(depth);
  if (kind === 5) return { anyOf: [makeSchema(depth - 1), makeSchema(0)] };
  if (kind === 6) return { type: ['integer', 'null'], minimum: 0, maximum: 99 };
  return pick(simple)();
}

const REFUSED = [
  { type: 'object', properties: { a: { not: { type: 'string' } } } },
  { if: { type: 'string' }, then: { minLength: 3 } },
  { type: 'string', pattern: '(a)\\1' },
  { type: 'string', pattern: '(?=a)b' },
  { type: 'array', items: {}, uniqueItems: true },
  { type: 'object', patternProperties: { '^a': {} } },
  { type: 'integer', minimum: 10, maximum: 5 },
  { $ref: 'https://example.com/schema' },
  { $ref: '#' },
];

const load = installPackages(options.work);
const { default: Ajv } = await load('ajv/dist/2020.js');
const { default: addFormats } = await load('ajv-formats');
const ajv = new (Ajv.default ?? Ajv)({ strict: false, multipleOfPrecision: 6 });
(addFormats.default ?? addFormats)(ajv);

const { child, address } = await startServer(options.hadal);
const ask = async (schema, seed) => {
  const answer = await fetch(`${address}/v1/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({
      messages: [{ role: 'user', content: 'Give me something.' }],
      thinking: { type: 'disabled' },
      temperature: 1.5,
      seed,
      max_tokens: 2000,
      response_format: { type: 'json_schema', json_schema: { name: 'x', strict: true, schema } },
    }),
  });
  return { status: answer.status, body: await answer.json() };
};

let failed = 0;
let passed = 0;
const fail = (schema, what) => {
  ++failed;
  console.log(`FAILED  ${JSON.stringify(schema)}\n  ${what}`);
};
try {
  for (let i = 0; i < Number(options.schemas); ++i) {
    const schema = i % 3 === 0 ? makeArray(2) : makeObject(3);
    const { status, body } = await ask(schema, i);
    if (status !== 200) {
      fail(schema, JSON.stringify(body));
      continue;
    }
    const text = body.choices[0].message.content;
    let value;
    try {
      value = JSON.parse(text);
    } catch (error) {
      fail(schema, `${error.message} (${body.choices[0].finish_reason}): ${text}`);
      continue;
    }
    const validate = ajv.compile(schema);
    if (validate(value)) ++passed;
    else fail(schema, `${text}\n  ${JSON.stringify(validate.errors)}`);
  }
  for (const schema of REFUSED) {
    const { status, body } = await ask(schema, 1);
    if (status === 400 && body.error.message.length > 10) ++passed;
    else fail(schema, `status ${status}, not refused`);
  }
  console.log(`${passed} passed, ${failed} failed`);
} finally {
  child.kill('SIGTERM');
}
process.exitCode = failed === 0 ? 0 : 1;
