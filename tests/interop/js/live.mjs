// Live two-way tests with the program: it decrypts what the official client encrypts, and the other way round; `inspect`
// agrees with both. Started by `run`, which names the program in KEYFLIGHT. Prints failures, then the counts.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  allSuites,
  clientFor,
  commits,
  defaultClient,
  fillerBytes,
  keyringOf,
  keyringOfAll,
  layoutOf,
  sha256Hex,
  suiteHex,
} from './common.mjs';

const program = process.env.KEYFLIGHT;
const folder = mkdtempSync(join(tmpdir(), 'keyflight-js-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const MiB = 1 << 20;
const filler = fillerBytes(MiB + 1);

const bytesOf = (seed, length) => Buffer.from(sha256Hex(`keyflight live ${seed}`), 'hex').subarray(0, length);
const keys = {
  aes128: { namespace: 'keyflight', name: 'aes128', bytes: bytesOf('aes128', 16) },
  aes192: { namespace: 'keyflight', name: 'aes192', bytes: bytesOf('aes192', 24) },
  aes256: { namespace: 'keyflight', name: 'aes256', bytes: bytesOf('aes256', 32) },
  unicode: { namespace: 'ключи', name: 'schlüssel-鍵', bytes: bytesOf('unicode', 32) },
};
for (const [label, key] of Object.entries(keys)) key.file = writeKeyFile(label, key);

function writeKeyFile(label, { namespace, name, bytes }) {
  const file = join(folder, `${label}.key`);
  const lines = ['# a test key', 'type: raw-aes', '', `namespace: ${namespace}`, `name: ${name}`];
  lines.push(`key: ${bytes.toString('base64')}`, '');
  writeFileSync(file, lines.join('\n'), { mode: 0o600 });
  return file;
}

function readKeyFile(file) {
  const lines = readFileSync(file, 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const fields = Object.fromEntries(lines.map((line) => line.split(/: (.*)/).slice(0, 2)));
  assert.deepEqual(Object.keys(fields).sort(), ['key', 'name', 'namespace', 'type']);
  assert.equal(fields.type, 'raw-aes');
  return { namespace: fields.namespace, name: fields.name, bytes: Buffer.from(fields.key, 'base64'), file };
}

const contexts = {
  none: {},
  ascii: { tenant: '42', Purpose: 'interop test', a: 'x', aa: 'y=z' },
  order: { 'Ａ': 'fullwidth', '😀🔐': 'emoji', b: '1', B: '2', 'ä': '3', zeta: 'ω', '日本語': '値' },
  empty: { 'empty value': '', other: 'line\nand "quotes" and \\' },
};
// These can't be given on a command line, so only the client encrypts with them.
const clientOnlyContexts = {
  control: { 'a\u0000b': 'NUL in the key', a: 'NUL in the\u0000value', '': 'empty key', 'a=b': 'equals sign' },
};

// ---- the program

function start(file, args, input) {
  const { error, status, signal, stdout, stderr } = spawnSync(file, args, { input, maxBuffer: 64 * MiB });
  if (error && error.code !== 'EPIPE') throw error; // a program that has read enough may close its input
  return { status, signal, stdout, stderr: stderr.toString() };
}

const keyflight = (args) => start(program, args, '');

// node gives its children sockets. Between two cats the program has real pipes. The status is the program's.
const keyflightInPipes = (args, input) =>
  start('bash', ['-c', 'cat | "$0" "$@" | cat; exit ${PIPESTATUS[1]}', program, ...args], input);

// Through files or through pipes, which are different code in the program.
function transform(args, input, ways) {
  if (ways === 'pipes') {
    const { status, signal, stdout, stderr } = keyflightInPipes(args, input);
    assert.equal(status, 0, `keyflight ${args[0]}: exit ${status ?? signal}: ${stderr}`);
    return stdout;
  }
  const [from, to] = [join(folder, 'in'), join(folder, 'out')];
  rmSync(to, { force: true });
  writeFileSync(from, input);
  const { status, signal, stdout, stderr } = keyflight([...args, '-o', to, from]);
  assert.equal(status, 0, `keyflight ${args[0]} -o: exit ${status ?? signal}: ${stderr}`);
  assert.equal(stdout.length, 0);
  return readFileSync(to);
}

const keyOptions = (used) => used.flatMap((key) => ['-k', key.file]);

// The default policy where it allows the suite, so that it is tried too.
const policyOptions = (suite) =>
  suite === undefined || commits(suite) ? [] : ['--commitment-policy', 'forbid-encrypt-allow-decrypt'];

const decrypt = ({ suite }, key, message, ways) =>
  transform(['decrypt', ...keyOptions([key]), ...policyOptions(suite)], message, ways);

function encrypt({ used, suite, frameLength, context }, plaintext, ways) {
  const args = ['encrypt', ...keyOptions(used)];
  for (const [name, value] of Object.entries(context)) args.push('-c', `${name}=${value}`);
  if (suite !== undefined) args.push('--suite', suiteHex(suite), ...policyOptions(suite));
  if (frameLength !== undefined) args.push('--frame-length', String(frameLength));
  return transform(args, plaintext, ways);
}

// `inspect --json` says the same as the header that the client read.
function checkInspect(message, header, used, ways) {
  let said;
  if (ways === 'pipes') {
    said = keyflightInPipes(['inspect', '--json'], message);
  } else {
    const file = join(folder, 'message');
    writeFileSync(file, message);
    said = keyflight(['inspect', '--json', file]);
  }
  assert.equal(said.status, 0, `keyflight inspect: exit ${said.status}: ${said.stderr}`);
  const json = JSON.parse(said.stdout.toString());
  assert.equal(json.format_version, header.version);
  assert.equal(json.suite, suiteHex(header.suiteId));
  assert.equal(/COMMIT_KEY/.test(json.suite_name), commits(header.suiteId));
  assert.equal(json.message_id, Buffer.from(header.messageId).toString('hex'));
  assert.deepEqual(json.encryption_context, { ...header.encryptionContext });
  assert.equal(json.frame_length, header.frameLength);
  assert.equal(json.content_type, 'framed');
  assert.equal(json.encrypted_data_keys.length, header.encryptedDataKeys.length);
  const layout = layoutOf(message);
  json.encrypted_data_keys.forEach((edk, i) => {
    assert.equal(edk.provider_id, header.encryptedDataKeys[i].providerId);
    assert.equal(edk.provider_info_hex, Buffer.from(header.encryptedDataKeys[i].rawInfo).toString('hex'));
    assert.equal(edk.fingerprint, sha256Hex(message.subarray(...layout.edks[i].whole)).slice(0, 16));
    if ('key_name' in edk) assert.equal(edk.key_name, used[i].name);
  });
}

const clientOf = (suite) => (suite === undefined ? defaultClient : clientFor(suite));
const withoutPublicKey = ({ 'aws-crypto-public-key': _, ...rest }) => rest;

// ---- the two directions

async function clientToProgram({ used, suite, frameLength, context, length }, ways) {
  const plaintext = filler.subarray(0, length);
  const options = { suiteId: suite, frameLength, encryptionContext: context };
  const { result: message, messageHeader } = await clientOf(suite).encrypt(keyringOfAll(used), plaintext, options);
  for (const key of used) {
    assert.ok(decrypt({ suite }, key, message, ways).equals(plaintext), `decrypted with ${key.name} to something else`);
  }
  checkInspect(message, messageHeader, used, ways);
}

async function programToClient({ used, suite, frameLength, context, length }, ways) {
  const plaintext = filler.subarray(0, length);
  const message = encrypt({ used, suite, frameLength, context }, plaintext, ways);
  for (const key of used) {
    const got = await clientOf(suite).decrypt(keyringOf(key), message);
    assert.ok(got.plaintext.equals(plaintext), `decrypted with ${key.name} to something else`);
    assert.equal(suiteHex(got.messageHeader.suiteId), suiteHex(suite ?? 0x0578));
    assert.deepEqual(withoutPublicKey(got.messageHeader.encryptionContext), context);
    assert.equal(got.messageHeader.frameLength, frameLength ?? 4096);
    assert.deepEqual(got.messageHeader.encryptedDataKeys.map((edk) => edk.providerId), used.map((k) => k.namespace));
    checkInspect(message, got.messageHeader, used, ways);
  }
  // nothing follows, and all signatures have the length by which a message's size is known in advance
  const layout = layoutOf(message);
  assert.equal(layout.end, message.length);
  const signatureLength = suite === 0x0214 ? 71 : 103;
  if (layout.signature) assert.equal(layout.signature[1] - layout.signature[0], signatureLength);
}

// ---- what is tried

const results = { passed: 0, failed: 0 };
async function test(name, body) {
  try {
    await body();
    results.passed++;
  } catch (error) {
    results.failed++;
    console.error(`FAILED ${name}\n  ${error.message.split('\n').join('\n  ')}`);
  }
}

const directions = { 'client to program': clientToProgram, 'program to client': programToClient };
const bothWays = ['files', 'pipes'];
let turn = 0;
const next = (list) => list[turn % list.length];

async function both(shape, ways = bothWays, only = Object.keys(directions)) {
  for (const direction of only) {
    for (const way of ways) {
      const suite = shape.suite === undefined ? 'default suite' : suiteHex(shape.suite);
      const what = [suite, `frames of ${shape.frameLength ?? 'default length'}`, `${shape.length} bytes`];
      what.push(shape.used.map((k) => k.name).join('+'), Object.keys(shape.context).join(',') || 'no context', way);
      await test(`${direction}: ${what.join(', ')}`, () => directions[direction](shape, way));
    }
  }
}

for (const suite of [0x0478, 0x0578]) {
  // every size around a frame, keys and contexts taking turns
  for (const frameLength of [1, 16, 100, 4096, 65536]) {
    const lengths = new Set([0, 1, frameLength - 1, frameLength, frameLength + 1, 3 * frameLength]);
    for (const length of lengths) {
      turn++;
      const used = [next([keys.aes128, keys.aes192, keys.aes256])];
      await both({ suite, frameLength, length, used, context: next(Object.values(contexts)) }, [next(bothWays)]);
    }
  }
  // a megabyte, in many frames, in sixteen full ones, and in one
  await both({ suite, frameLength: 100, length: MiB, used: [keys.aes256], context: contexts.ascii }, ['files']);
  await both({ suite, frameLength: 4096, length: MiB + 1, used: [keys.aes256], context: contexts.none });
  await both({ suite, frameLength: 65536, length: MiB, used: [keys.aes192], context: contexts.ascii });
  await both({ suite, frameLength: 2 * MiB, length: MiB, used: [keys.aes128], context: contexts.order });
  await both({ suite, frameLength: 0xffffffff, length: 100, used: [keys.aes256], context: contexts.none });
  // every key with every context
  for (const used of [[keys.aes128], [keys.aes192], [keys.aes256], [keys.unicode]]) {
    for (const context of Object.values(contexts)) await both({ suite, length: 5000, used, context }, ['files']);
  }
  for (const context of Object.values(clientOnlyContexts)) {
    await both({ suite, length: 50, used: [keys.aes256], context }, bothWays, ['client to program']);
  }
  // several keys, each of which does alone
  await both({ suite, length: 5000, used: [keys.aes256, keys.aes128], context: contexts.ascii });
  await both({ suite, length: 1, used: [keys.aes192, keys.unicode, keys.aes256], context: contexts.none });
}

// format 1: only under the policy that demands it
for (const suite of allSuites.filter((id) => !commits(id))) {
  for (const frameLength of [1, 100, 4096]) {
    for (const length of new Set([0, 1, frameLength, 3 * frameLength + 1])) {
      turn++;
      const used = [next([keys.aes128, keys.aes192, keys.aes256, keys.unicode])];
      await both({ suite, frameLength, length, used, context: next(Object.values(contexts)) }, [next(bothWays)]);
    }
  }
}

// neither side is given the suite or the frame length
await both({ length: 4096, used: [keys.aes256], context: contexts.ascii });

await test('a key that keygen made serves the client', async () => {
  const file = join(folder, 'made.key');
  const { status, stderr } = keyflight(['keygen', '-o', file]);
  assert.equal(status, 0, stderr);
  const made = readKeyFile(file);
  assert.equal(made.bytes.length, 32);
  const shape = { used: [made], suite: 0x0578, length: 5000, context: contexts.order };
  await clientToProgram(shape, 'files');
  await programToClient(shape, 'files');
});

// The program has to refuse what the client accepts or makes unreadable: nonzero exit, a reason, no output.
function refuses(message, key, status) {
  const [from, to] = [join(folder, 'refused'), join(folder, 'refused.out')];
  writeFileSync(from, message);
  const said = keyflight(['decrypt', ...keyOptions([key]), '-o', to, from]);
  assert.equal(said.status, status, `exit ${said.status ?? said.signal} instead of ${status}: ${said.stderr}`);
  assert.notEqual(said.stderr, '');
  assert.ok(!existsSync(to), 'there is an output file');
}

for (const suite of [0x0478, 0x0578]) {
  const options = { suiteId: suite, frameLength: 16, encryptionContext: contexts.ascii };
  const { result: message } = await defaultClient.encrypt(keyringOf(keys.aes256), filler.subarray(0, 40), options);
  await test(`${suiteHex(suite)}: a byte behind the client's message is refused`, () =>
    refuses(Buffer.concat([message, Buffer.alloc(1)]), keys.aes256, 3));
  await test(`${suiteHex(suite)}: the client's message without its last byte is refused`, () =>
    refuses(message.subarray(0, -1), keys.aes256, 3));
  await test(`${suiteHex(suite)}: the client's message with another key is refused`, () =>
    refuses(message, keys.aes128, 4));

  const shape = { used: [keys.aes256], suite, frameLength: 16, context: contexts.ascii };
  const ours = encrypt(shape, filler.subarray(0, 40), 'pipes');
  const { headerTag, frames, signature } = layoutOf(ours);
  const spoilt = { 'header tag': headerTag, frame: frames[0].content, 'final frame': frames.at(-1).tag, signature };
  for (const [part, place] of Object.entries(spoilt)) {
    if (place === undefined) continue;
    await test(`${suiteHex(suite)}: the client refuses the program's message with a spoilt ${part}`, async () => {
      const copy = Buffer.from(ours);
      copy[place[1] - 1] ^= 1;
      await assert.rejects(defaultClient.decrypt(keyringOf(keys.aes256), copy));
    });
  }
}

console.log(`${results.passed} passed, ${results.failed} failed`);
process.exitCode = results.failed === 0 ? 0 : 1;
