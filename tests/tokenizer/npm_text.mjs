// Text for the comparison, the same on every run: kinds that stress different parts of the pre-tokenizer and of BPE.
//
// Real text comes from what every Debian system has (licences), from this repository and from the npm packages that are
// compared with; the rest is drawn from a seeded generator. Only code points that Unicode 15 assigns are drawn, because
// the two tokenizers have tables of different versions.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const LICENCES = '/usr/share/common-licenses';

// xorshift32: the same numbers everywhere, unlike Math.random.
function generator(seed) {
  let state = seed;
  return (n) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % n;
  };
}

function filesUnder(folder, isWanted) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isWanted(entry.name))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function realText(paths) {
  return paths.map((path) => readFileSync(path, 'utf8')).join('\n');
}

// Repeats the text, with a number in between so that the copies differ at their borders.
function upTo(length, text) {
  let out = '';
  for (let i = 0; out.length < length; ++i) out += `${text}\n${i}\n`;
  return out.slice(0, length);
}

function draw(ranges, count, random, separator) {
  let out = '';
  for (let i = 0; i < count; ++i) {
    const [first, last] = ranges[random(ranges.length)];
    const run = 1 + random(12);
    for (let j = 0; j < run; ++j) out += String.fromCodePoint(first + random(last - first + 1));
    out += separator(random);
  }
  return out;
}

const pick = (...choices) => (random) => choices[random(choices.length)];

function chinese(random, count) {
  // The first range holds most of the frequent characters' code points; the others are kana, hangul, punctuation.
  const ranges = [[0x4e00, 0x6fff], [0x4e00, 0x9fa5], [0x4e00, 0x9fa5], [0x3041, 0x3096], [0x30a0, 0x30ff],
    [0xac00, 0xd7a3]];
  return draw(ranges, count, random, pick('', '，', '。', '、', '的', '是', '在', '\n', ' ', '123', '「', 'abc', '・'));
}

function chineseFromVocabulary(random, count, vocabulary) {
  // Words that the vocabulary knows, in random order: merges as in real Chinese.
  const bytes = byteAlphabet();
  const words = Object.keys(vocabulary)
    .map((token) => Buffer.from([...token].map((c) => bytes.get(c) ?? 0)).toString('utf8'))
    .filter((word) => /^[一-龥]+$/u.test(word));
  let out = '';
  for (let i = 0; i < count; ++i) {
    out += words[random(words.length)] + (random(8) === 0 ? '，' : '') + (random(20) === 0 ? '。\n' : '');
  }
  return out;
}

// GPT-2's byte alphabet, character -> byte.
function byteAlphabet() {
  const map = new Map();
  let next = 0x100;
  for (let byte = 0; byte < 256; ++byte) {
    const isItself = (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    map.set(String.fromCodePoint(isItself ? byte : next++), byte);
  }
  return map;
}

function emoji(random, count) {
  const ranges = [[0x1f300, 0x1f64f], [0x1f680, 0x1f6c5], [0x1f900, 0x1f9ff], [0x2600, 0x26ff], [0x1f1e6, 0x1f1ff],
    [0x1fa70, 0x1fa7c]];
  return draw(ranges, count, random, pick('', ' ', '\u200d', '\ufe0f', '\u200d♂\ufe0f', 'word', '\n', '!?', '  '));
}

function oddSpace(random, count) {
  const ranges = [[0x20, 0x20], [0x09, 0x0d], [0x0a, 0x0a], [0x0d, 0x0d], [0x2000, 0x200f], [0x2028, 0x202f],
    [0xa0, 0xa0], [0x3000, 0x3000], [0x85, 0x85], [0xfeff, 0xfeff], [0x180e, 0x180e], [0x1680, 0x1680]];
  return draw(ranges, count, random, pick('', 'a', 'word', '.', '7', '\r\n', '中', '_x', '$', 'é'));
}

function scripts(random, count) {
  // Ranges without gaps: Latin, Greek, Cyrillic, Hebrew and Arabic letters, Devanagari, Thai, combining marks, symbols,
  // numbers of many kinds, controls, private use.
  const ranges = [[0xa1, 0xff], [0x100, 0x24f], [0x3b1, 0x3c9], [0x400, 0x4ff], [0x5d0, 0x5ea], [0x620, 0x64a],
    [0x904, 0x939], [0xe01, 0xe3a], [0x300, 0x36f], [0x2190, 0x23ff], [0x2150, 0x218b], [0x660, 0x669],
    [0x2460, 0x249b], [0x1d7ce, 0x1d7ff], [0x00, 0x1f], [0x7f, 0x9f], [0xe000, 0xe0ff], [0xff01, 0xff5e],
    [0x20000, 0x20fff]];
  return draw(ranges, count, random, pick('', ' ', '  ', '-', '1', '12345', '\n', ',', "'s", '.'));
}

function addedTokens(random, count, contents) {
  let out = '';
  for (let i = 0; i < count; ++i) {
    const content = contents[random(contents.length)];
    // Whole, cut short, or doubled at the front: near misses must stay text.
    const form = random(4);
    out += form === 0 ? content.slice(0, -1) : form === 1 ? content[0] + content : content;
    out += ['', ' ', 'text', '\n', '<', '｜'][random(6)];
  }
  return out;
}

// Kind -> documents of about 64 K characters.
export function makeText({ repository, packages, tokenizerJson }) {
  const size = 1_200_000;
  const licences = realText(filesUnder(LICENCES, () => true));
  const code = realText(filesUnder(join(repository, 'src'), (name) => /\.(cpp|h)$/.test(name)).concat(packages));
  const random = generator(20240817);
  const vocabulary = tokenizerJson.model.vocab;
  const kinds = {
    English: upTo(size, licences),
    code: upTo(size, code),
    Chinese: chineseFromVocabulary(random, 150_000, vocabulary),
    'random CJK': chinese(random, 40_000),
    emoji: emoji(random, 25_000),
    'odd space': oddSpace(random, 40_000),
    scripts: scripts(random, 60_000),
    'added tokens': addedTokens(random, 8_000, tokenizerJson.added_tokens.map((token) => token.content)),
    'long runs': ['a', ' ', '\n', '.', '中', '7', '=', ' x'].map((unit) => unit.repeat(6_000)).join('!'),
  };
  return Object.entries(kinds)
    .map(([kind, text]) => ({ kind, documents: text.toWellFormed().match(/[^]{1,65536}/gu) }));
}
