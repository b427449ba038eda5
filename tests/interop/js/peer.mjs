// The official JavaScript client's side of the two-way tests: `peer.mjs WORK JOBS ANSWERS`, files as in ../two-way.

import assert from 'node:assert/strict';
import { constants } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { MultiKeyringNode, RawRsaKeyringNode } from '@aws-crypto/client-node';
import { clientFor, keyringOf } from './common.mjs';

const [work, jobs, answers] = process.argv.slice(2);
const plaintexts = readFileSync(join(work, 'plaintext.bin'));

// What the client has no means for.
class Unsupported extends Error {}

const linesOf = (file) => readFileSync(file, 'utf8').split('\n').filter(Boolean).map((line) => line.split('\t'));
const unhex = (text) => Buffer.from(text, 'hex').toString();
const texts = (column) => (column === '-' ? [] : column.split(','));
const fileOf = (name) => (name === '-' ? undefined : readFileSync(join(work, name), 'utf8'));

const makers = {
  aes: (namespace, name, key) => keyringOf({ namespace, name, bytes: Buffer.from(key, 'hex') }),
  rsa: (keyNamespace, keyName, padding, publicKey, privateKey) =>
    new RawRsaKeyringNode({
      keyNamespace,
      keyName,
      rsaKey: { publicKey: fileOf(publicKey), privateKey: fileOf(privateKey) },
      ...(padding === 'pkcs1'
        ? { padding: constants.RSA_PKCS1_PADDING }
        : { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: padding.replace('oaep-', '') }),
    }),
  ecdh: () => {
    throw new Unsupported('raw ECDH keyring');
  },
};
const descriptions = Object.fromEntries(linesOf(join(work, 'keyrings.tsv')).map(([label, ...rest]) => [label, rest]));

function keyringOfLabels(labels) {
  const [generator, ...children] = labels.split(',').map((label) => {
    const [kind, ...columns] = descriptions[label];
    return makers[kind](...columns);
  });
  return children.length === 0 ? generator : new MultiKeyringNode({ generator, children });
}

async function act(verb, message, suiteText, frameLengthText, length, contextText, required, labels) {
  if (required !== '-') throw new Unsupported('required encryption context CMM');
  const keyring = keyringOfLabels(labels);
  const [suite, frameLength] = [parseInt(suiteText, 16), Number(frameLengthText)];
  const context = Object.fromEntries(texts(contextText).map((pair) => pair.split('=').map(unhex)));
  const plaintext = plaintexts.subarray(0, Number(length));
  if (verb === 'write') {
    const options = { suiteId: suite, frameLength, encryptionContext: context };
    const { result } = await clientFor(suite).encrypt(keyring, plaintext, options);
    writeFileSync(join(work, message), result);
    return;
  }
  const got = await clientFor(suite).decrypt(keyring, readFileSync(join(work, message)));
  assert.ok(got.plaintext.equals(plaintext), 'the plaintext is another one');
  assert.equal(got.messageHeader.suiteId, suite, 'the suite is another one');
  assert.equal(got.messageHeader.frameLength, frameLength, 'the frame length is another one');
  const { 'aws-crypto-public-key': _, ...stored } = got.messageHeader.encryptionContext;
  assert.deepEqual(stored, context, 'the encryption context is another one');
}

async function answerOf(job) {
  try {
    await act(...job);
    return 'ok';
  } catch (error) {
    const outcome = error instanceof Unsupported ? 'unsupported' : 'failed';
    return `${outcome}\t${error.message.replaceAll(/\s+/g, ' ')}`;
  }
}

const { name, version } = createRequire(import.meta.url)('@aws-crypto/client-node/package.json');
const lines = [`client\tJavaScript: \`${name}\` ${version}`];
for (const [number, ...job] of linesOf(jobs)) lines.push(`${number}\t${await answerOf(job)}`);
writeFileSync(answers, lines.join('\n') + '\n');
