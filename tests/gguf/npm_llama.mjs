// llama.cpp against what Hadal writes: it loads the embedded model as GGUF in several types, tokenizes alike, and its
// next-token distributions are near Hadal's on the same file.
//
//   node npm_llama.mjs --hadal BUILD/bin/hadal --tool BUILD/tests/gguf/logits_tool --work BUILD/tests/gguf/npm
//
// Exit codes: 0 all agree, 1 they do not, 77 skipped because the package could not be fetched.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const SKIPPED = 77;
// Nats. llama.cpp keeps its cache in F16 and rounds activations to 8 bits in blocks of its own; Hadal is run in exact
// mode.
const KL_MAX = 1e-2;
const TYPES = ['f32', 'q8_0', 'q4_k_m', 'mxfp4', 'iq2_xxs'];
const TEXT = 'What is the capital of France? The answer is a single word, and 27 + 35 is a number.';

const { values: options } = parseArgs({
  options: { hadal: { type: 'string' }, tool: { type: 'string' }, work: { type: 'string' } },
});

function installPackages(work) {
  const here = dirname(fileURLToPath(import.meta.url));
  mkdirSync(work, { recursive: true });
  copyFileSync(join(here, 'package.json'), join(work, 'package.json'));
  const hasLock = existsSync(join(here, 'package-lock.json'));
  if (hasLock) copyFileSync(join(here, 'package-lock.json'), join(work, 'package-lock.json'));
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const npm = spawnSync('npm', [hasLock ? 'ci' : 'install', ...flags], { cwd: work, encoding: 'utf8' });
  if (npm.status === 0) return;
  const reason = npm.error ? npm.error.message : npm.stderr;
  if (reason.includes('EINTEGRITY')) throw new Error(reason);
  console.log(`SKIPPED: npm could not install the package to compare with:\n${reason}`);
  process.exit(SKIPPED);
}

function run(program, args) {
  const done = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (done.status !== 0) throw new Error(`${program} ${args.slice(0, 3).join(' ')}: ${done.stderr}`);
  return done.stdout;
}

// Mean over positions of sum p (log p - log q), and how often the best tokens are the same.
function compare(ours, theirs) {
  let kl = 0;
  let same = 0;
  for (let t = 0; t < ours.length; ++t) {
    let best = 0;
    for (let id = 0; id < ours[t].length; ++id) {
      if (ours[t][id] > ours[t][best]) best = id;
      const q = theirs[t].get(id) ?? 0;
      if (ours[t][id] > -20) kl += Math.exp(ours[t][id]) * (ours[t][id] - Math.log(Math.max(q, 1e-12)));
    }
    const [first] = [...theirs[t].entries()].reduce((a, b) => (b[1] > a[1] ? b : a));
    if (first === best) ++same;
  }
  return { kl: kl / ours.length, same: same / ours.length };
}

installPackages(options.work);
const require = createRequire(resolve(options.work, 'package.json'));
const { getLlama } = await import(pathToFileURL(require.resolve('node-llama-cpp')));
const llama = await getLlama({ gpu: false, build: 'never', logLevel: 'error' });
let failed = false;
for (const type of TYPES) {
  const path = join(options.work, `tiny-${type}.gguf`);
  run(options.hadal, ['convert', 'embedded', path, '--type', type]);
  const model = await llama.loadModel({ modelPath: path });
  const ids = [model.tokens.bos, ...model.tokenize(TEXT)];
  const context = await model.createContext({ contextSize: 256, flashAttention: false });
  const sequence = context.getSequence();
  const steps = ids.map((id) => [id, { generateNext: { probabilities: true } }]);
  const answers = await sequence.controlledEvaluate(steps);
  const theirs = answers.map((answer) => answer.next.probabilities);
  const lines = run(options.tool, [path, 'exact', ...ids.map(String)]).trim().split('\n');
  const ours = lines.map((line) => JSON.parse(line));
  const { kl, same } = compare(ours, theirs);
  const ok = kl <= KL_MAX;
  failed ||= !ok;
  console.log(`${ok ? 'ok  ' : 'FAIL'} ${type.padEnd(8)} ${ids.length} tokens, mean KL ${kl.toExponential(2)}, ` +
    `same best token ${(100 * same).toFixed(0)} %`);
  await context.dispose();
  await model.dispose();
}
process.exit(failed ? 1 : 0);
