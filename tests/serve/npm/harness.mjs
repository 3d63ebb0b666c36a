// What tests with npm packages share: installing them, and a running `hadal serve`.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';

const SKIPPED = 77;

// Installs the packages of the lock file beside this script into `work`; returns a function that imports one of them.
// Ends the process as skipped when they cannot be fetched.
export function installPackages(work) {
  const here = dirname(fileURLToPath(import.meta.url));
  mkdirSync(work, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) copyFileSync(join(here, name), join(work, name));
  const flags = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const npm = spawnSync('npm', ['ci', ...flags], { cwd: work, encoding: 'utf8' });
  if (npm.status === 0) {
    const fromWork = createRequire(resolve(work, 'package.json'));
    return (name) => import(pathToFileURL(fromWork.resolve(name)).href);
  }
  const reason = npm.error ? npm.error.message : npm.stderr;
  if (reason.includes('EINTEGRITY')) throw new Error(reason);
  console.log(`SKIPPED: npm could not install the clients:\n${reason}`);
  process.exit(SKIPPED);
}

// The server and its address.
export async function startServer(hadal) {
  const child = spawn(hadal, ['serve', '--port', '0', '--context', '16384'], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    const address = /http:\/\/[0-9.:]+/.exec(line);
    if (address) return { child, address: address[0] };
  }
  throw new Error('hadal serve ended before it said where it listens');
}
