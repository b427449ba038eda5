// Makes tests/corpus/js anew with the official client: `node make-corpus.mjs [folder]`. README.md says what is in it.
// Messages hold random numbers, so every run makes other bytes under the same names.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  allSuites,
  clientFor,
  commits,
  fillerBytes,
  keyringOf,
  keyringOfAll,
  layoutOf,
  sha256Hex,
  signingSuites,
  suiteHex,
} from './common.mjs';
import { RawAesKeyringNode, RawAesWrappingSuiteIdentifier } from '@aws-crypto/client-node';

const here = dirname(fileURLToPath(import.meta.url));
const corpus = process.argv[2] ?? join(here, '../../corpus/js');
const clientVersion = JSON.parse(readFileSync(join(here, 'node_modules/@aws-crypto/client-node/package.json'))).version;

const plaintext = fillerBytes(65537);

// Test keys, which protect nothing. The name of "longer" begins with that of "aes256"; "wrong" has the same name.
function key(label, length, namespace = 'keyflight', name = label) {
  const bytes = Buffer.from(sha256Hex(`keyflight corpus key ${label}`), 'hex').subarray(0, length);
  return { label, namespace, name, bytes };
}
const keys = [
  key('aes128', 16),
  key('aes192', 24),
  key('aes256', 32),
  key('longer', 32, 'keyflight', 'aes256-2'),
  key('wrong', 32, 'keyflight', 'aes256'),
  key('unicode', 32, 'ключи', 'schlüssel-鍵'),
];
const keyOf = (label) => keys.find((k) => k.label === label);

// "order" has keys whose UTF-8 order differs from that of UTF-16 (Ａ before 😀), of a locale (b, B) and of signed bytes.
const contexts = {
  none: {},
  ascii: { tenant: '42', Purpose: 'interop test', a: 'x', aa: 'y' },
  order: {
    'Ａ': 'fullwidth',
    '😀🔐': 'emoji',
    b: '1',
    B: '2',
    'ä': '3',
    zeta: 'ω',
    '日本語': '値',
    '\u00e9': 'composed',
    'e\u0301': 'decomposed',
  },
  empty: { '': 'empty key', 'empty value': '' },
  control: { 'a\u0000b': 'NUL in the key', a: 'NUL in the\u0000value', 'tab\tline\n': '=,"\\' },
  long: {
    long: 'é'.repeat(500),
    ...Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`key ${i}`, `${i}`])),
  },
};

const cases = [];

async function addGood({ suite, keys: labels, frameLength, length, context }) {
  const name = `${suiteHex(suite)}-f${frameLength}-${length}-${labels.join('+')}-${context}`;
  if (cases.some((c) => c.name === name)) return undefined;
  const client = clientFor(suite);
  const { result: ciphertext } = await client.encrypt(keyringOfAll(labels.map(keyOf)), plaintext.subarray(0, length), {
    suiteId: suite,
    frameLength,
    encryptionContext: contexts[context],
  });
  const made = { name, expect: 'ok', suite, keys: labels, frameLength, length, context, ciphertext };
  for (const label of labels) {
    const { js } = await verdict(made, label);
    if (js !== 'ok') throw new Error(`${name}: the client says "${js}" of its own message with ${label}`);
  }
  cases.push({ ...made, js: 'ok' });
  return made;
}

// The client's own answer to a message: "ok" only if plaintext and context came back unchanged.
async function verdict({ suite, length, context, ciphertext }, label) {
  try {
    const got = await clientFor(suite).decrypt(keyringOf(keyOf(label)), ciphertext);
    const stored = { ...got.messageHeader.encryptionContext };
    delete stored['aws-crypto-public-key'];
    const wanted = contexts[context];
    const same =
      got.plaintext.equals(plaintext.subarray(0, length)) &&
      Object.keys(stored).length === Object.keys(wanted).length &&
      Object.keys(wanted).every((k) => stored[k] === wanted[k]);
    return same ? { js: 'ok' } : { js: 'other plaintext or context' };
  } catch (error) {
    return { js: 'reject', jsError: error.message.split('\n')[0] };
  }
}

// A reader can blame the message or say that no key fits. If the client refuses too, it has to say the same.
async function addBad(base, what, ciphertext, label = base.keys[0]) {
  const expect = /^(key|edk|context-value|context-sorted)/.test(what) ? 'keys' : 'message';
  const bad = { ...base, name: `bad-${suiteHex(base.suite)}-${what}`, expect, keys: [label], ciphertext };
  const said = await verdict(bad, label);
  const noKey = said.jsError === 'unencryptedDataKey has not been set';
  if (said.js === 'reject' && noKey !== (expect === 'keys')) {
    throw new Error(`${bad.name}: the client says ${said.jsError}`);
  }
  cases.push({ ...bad, ...said });
}

const flipped = (bytes, at, mask = 1) => {
  const copy = Buffer.from(bytes);
  copy[at] ^= mask;
  return copy;
};

// All ways to spoil a message. `other` is a second, intact message of the same shape.
async function addTampered(base, other) {
  const good = base.ciphertext;
  const layout = layoutOf(good);
  const part = ([start, end]) => good.subarray(start, end);
  const [first, second, final] = layout.frames;
  const [edk] = layout.edks;
  const flip = (what, [start, end], mask) => addBad(base, what, flipped(good, end - 1, mask));

  await flip('version', layout.version);
  await flip('suite-unknown', layout.suite, 0x40);
  await addBad(base, 'suite-signing-changed', flipped(good, layout.suite[0]));
  await flip('message-id', layout.messageId);
  await flip('context-value', layout.context);
  await addBad(base, 'context-pair-count', flipped(good, layout.context[0] + 1));
  await flip('edk-provider-id', edk.providerId);
  await flip('edk-provider-info', edk.providerInfo);
  await flip('edk-ciphertext', edk.ciphertext);
  await flip('content-type', layout.contentType, 0x03);
  await flip('frame-length', layout.frameLength);
  if (layout.reserved) await flip('reserved', layout.reserved);
  if (layout.ivLength) await flip('iv-length', layout.ivLength);
  if (layout.headerIv) await flip('header-iv', layout.headerIv);
  if (layout.commitKey) await flip('commit-key', layout.commitKey);
  await flip('header-tag', layout.headerTag);

  await flip('sequence', first.sequence);
  await flip('frame-iv', first.iv);
  await flip('frame-content', second.content);
  await flip('frame-tag', first.tag);
  await flip('final-length', final.length);
  await flip('final-content', final.content);
  await flip('final-tag', final.tag);
  const frames = layout.frames.map((frame) => part(frame.whole));
  const footer = layout.footer ? [part(layout.footer)] : [];
  const rebuilt = (list, tail = footer) => Buffer.concat([part(layout.header), ...list, ...tail]);
  await addBad(base, 'frames-swapped', rebuilt([frames[1], frames[0], frames[2]]));
  await addBad(base, 'frame-missing', rebuilt([frames[0], frames[2]]));
  await addBad(base, 'frame-of-other-message', rebuilt([otherFrame(other, 0), frames[1], frames[2]]));
  await addBad(base, 'final-frame-missing', rebuilt([frames[0], frames[1]]));
  await addBad(base, 'final-frame-twice', rebuilt([...frames, frames[2]]));

  await addBad(base, 'cut-everything', Buffer.alloc(0));
  await addBad(base, 'cut-in-header', good.subarray(0, layout.headerTag[0]));
  await addBad(base, 'cut-after-header', part(layout.header));
  await addBad(base, 'cut-in-frame', good.subarray(0, second.whole[1] - 1));
  await addBad(base, 'cut-in-final-frame', good.subarray(0, final.whole[1] - 1));
  await addBad(base, 'trailing-byte', Buffer.concat([good, Buffer.from([0])]));
  await addBad(base, 'second-message', Buffer.concat([good, other.ciphertext]));
  await addBad(base, 'base64', Buffer.from(good.toString('base64')));
  if (layout.footer) {
    const otherFooter = other.ciphertext.subarray(...layoutOf(other.ciphertext).footer);
    await flip('signature', layout.signature);
    await addBad(base, 'signature-missing', rebuilt(frames, []));
    await addBad(base, 'signature-empty', rebuilt(frames, [Buffer.from([0, 0])]));
    await addBad(base, 'signature-cut', good.subarray(0, good.length - 1));
    await addBad(base, 'signature-of-other-message', rebuilt(frames, [otherFooter]));
  }

  await addBad(base, 'key-wrong-bytes', good, 'wrong');
  await addBad(base, 'key-other-name', good, 'aes128');
  await addBad(base, 'key-longer-name', good, 'longer');
}

const otherFrame = (message, index) => message.ciphertext.subarray(...layoutOf(message.ciphertext).frames[index].whole);

async function addForSuite(suite) {
  const turn = (list, i) => list[i % list.length];
  const wrapping = ['aes128', 'aes192', 'aes256'];
  const someContexts = ['none', 'ascii', 'order', 'empty', 'control'];
  let n = suite; // each suite begins with another one

  const frameLengths = commits(suite) ? [1, 2, 16, 100, 4096] : [1, 100];
  for (const frameLength of frameLengths) {
    for (const length of [0, 1, frameLength - 1, frameLength, frameLength + 1, 3 * frameLength]) {
      n++;
      await addGood({ suite, frameLength, length, keys: [turn(wrapping, n)], context: turn(someContexts, n) });
    }
  }
  await addGood({ suite, frameLength: 4096, length: 4097, keys: ['aes256'], context: 'ascii' });
  // a frame length that must not become the size of an allocation
  await addGood({ suite, frameLength: 0xffffffff, length: 100, keys: ['aes256'], context: 'none' });
  await addGood({ suite, frameLength: 100, length: 250, keys: ['aes256', 'aes128'], context: 'order' });
  await addGood({ suite, frameLength: 100, length: 250, keys: ['unicode'], context: 'order' });
  if (!commits(suite)) return;

  for (const label of wrapping) {
    for (const context of Object.keys(contexts)) {
      await addGood({ suite, frameLength: 100, length: 250, keys: [label], context });
    }
  }
  await addGood({ suite, frameLength: 100, length: 250, keys: ['aes128', 'aes192'], context: 'empty' });
  await addGood({ suite, frameLength: 100, length: 250, keys: ['longer', 'aes256'], context: 'none' });
  await addGood({ suite, frameLength: 100, length: 250, keys: ['aes192', 'unicode', 'aes256'], context: 'ascii' });
  for (const length of signingSuites.includes(suite) ? [65536] : [65535, 65536, 65537]) {
    await addGood({ suite, frameLength: 65536, length, keys: ['aes256'], context: 'none' });
  }
}

for (const suite of allSuites) await addForSuite(suite);

for (const suite of [0x0478, 0x0578, 0x0178, 0x0378]) {
  const base = await addGood({ suite, frameLength: 16, length: 40, keys: ['aes256'], context: 'ascii' });
  const other = await addGood({ suite, frameLength: 16, length: 41, keys: ['aes256'], context: 'ascii' });
  await addTampered(base, other);
}

// The order of the context in which the client wraps the data key by default: no other client can read such a message.
{
  const { namespace, name, bytes } = keyOf('aes256');
  const byLocale = new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName: name,
    unencryptedMasterKey: Uint8Array.from(bytes),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  for (const suite of [0x0478, 0x0578]) {
    const base = { suite, frameLength: 16, length: 40, keys: ['aes256'], context: 'ascii' };
    const { result } = await clientFor(suite).encrypt(byLocale, plaintext.subarray(0, base.length), {
      suiteId: suite,
      frameLength: base.frameLength,
      encryptionContext: contexts[base.context],
    });
    await addBad(base, 'context-sorted-by-locale', result);
  }
}

// ---- writing

const hex = (text) => Buffer.from(text, 'utf8').toString('hex');
const hexPairs = (context) => {
  const pairs = Object.entries(context).map(([k, v]) => `${hex(k)}=${hex(v)}`);
  return pairs.length === 0 ? '-' : pairs.join(',');
};
const fileOf = ({ name }) => `ct/${name}.bin`;
// JSON with one line for each entry of an array or object, so that it can be read and compared.
function jsonLines(value, depth = 2) {
  if (depth === 0 || typeof value !== 'object') return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  const line = ([k, v]) => (Array.isArray(value) ? '' : `${JSON.stringify(k)}: `) + jsonLines(v, depth - 1);
  return `${open}\n${Object.entries(value).map(line).join(',\n')}\n${close}`;
}

rmSync(corpus, { recursive: true, force: true });
mkdirSync(join(corpus, 'ct'), { recursive: true });
const write = (file, data) => writeFileSync(join(corpus, file), data);

write('plaintext.bin', plaintext);

const hexKeys = keys.map(({ bytes, ...rest }) => ({ ...rest, key: bytes.toString('hex') }));
write('keys.json', jsonLines(hexKeys, 1) + '\n');
const textOf = (lines) => lines.map((line) => line + '\n').join('');
write('keys.txt', textOf(['# label namespace name key-in-hex', ...hexKeys.map((k) => Object.values(k).join(' '))]));

const caseLine = (c) =>
  [
    c.name,
    c.expect,
    suiteHex(c.suite),
    c.keys.join(','),
    c.frameLength,
    c.length,
    fileOf(c),
    hexPairs(contexts[c.context]),
  ].join(' ');
write(
  'cases.txt',
  textOf([
    '# name expect suite keys frame_length plaintext_length ciphertext_file context',
    '# expect: ok, or what is wrong: message or keys. keys: labels of keys.txt, comma-separated; each is tried alone.',
    '# The plaintext is the first plaintext_length bytes of plaintext.bin; of a spoilt message, what it held before.',
    '# context: key=value in hex, comma-separated, "-" for none; signing suites add aws-crypto-public-key to it.',
    ...cases.map(caseLine),
  ]),
);
write(
  'manifest.json',
  jsonLines({
    generator: `@aws-crypto/client-node ${clientVersion}, node ${process.version}`,
    encryption_contexts: contexts,
    cases: cases.map((c) => ({
      name: c.name,
      expect: c.expect,
      suite: suiteHex(c.suite),
      keys: c.keys,
      frame_length: c.frameLength,
      plaintext_length: c.length,
      encryption_context: c.context,
      ciphertext_sha256: sha256Hex(c.ciphertext),
      js: c.js,
      js_error: c.jsError,
    })),
  }) + '\n',
);
for (const c of cases) write(fileOf(c), c.ciphertext);

const count = (expect) => cases.filter((c) => c.expect === expect).length;
console.log(`${count('ok')} messages and ${cases.length - count('ok')} spoilt ones in ${corpus}`);
const accepted = cases.filter((c) => c.expect !== 'ok' && c.js === 'ok');
console.log(`the client accepts ${accepted.map((c) => c.name).join(', ')}`);
