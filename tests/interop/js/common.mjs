// What the corpus maker and the live tests share: the official client, and the layout of a message.
// Imported by make-corpus.mjs and live.mjs. It uses neither files nor the program.

import { createHash } from 'node:crypto';
import {
  AlgorithmSuiteIdentifier,
  CommitmentPolicy,
  MultiKeyringNode,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  buildClient,
} from '@aws-crypto/client-node';

// The client's own default policy, and the one that lets it read and write suites without commitment.
export const defaultClient = buildClient();
export const allowClient = buildClient(CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT);

export const allSuites = Object.values(AlgorithmSuiteIdentifier).filter((id) => typeof id === 'number');
export const signingSuites = [0x0214, 0x0346, 0x0378, 0x0578];
export const suiteHex = (id) => id.toString(16).padStart(4, '0');
export const commits = (id) => id === 0x0478 || id === 0x0578;
export const clientFor = (id) => (commits(id) ? defaultClient : allowClient);

const wrappingSuites = {
  16: RawAesWrappingSuiteIdentifier.AES128_GCM_IV12_TAG16_NO_PADDING,
  24: RawAesWrappingSuiteIdentifier.AES192_GCM_IV12_TAG16_NO_PADDING,
  32: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
};

// A keyring for {namespace, name, bytes}. Without utf8Sorting the client sorts the context that it binds to the wrapped
// key by locale, which no reader of the specification can follow.
export function keyringOf({ namespace, name, bytes }) {
  return new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName: name,
    unencryptedMasterKey: Uint8Array.from(bytes), // the client keeps these bytes, and may wipe them
    wrappingSuite: wrappingSuites[bytes.length],
    utf8Sorting: true,
  });
}

export function keyringOfAll(keys) {
  const [generator, ...children] = keys.map(keyringOf);
  return children.length === 0 ? generator : new MultiKeyringNode({ generator, children });
}

// The same bytes in every run, without a regular pattern, so that a frame in the wrong place is noticed.
export function fillerBytes(length) {
  const blocks = [];
  for (let i = 0; i * 64 < length; i++) {
    blocks.push(createHash('sha512').update(`keyflight corpus ${i}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, length);
}

export const sha256Hex = (bytes) => createHash('sha256').update(bytes).digest('hex');

// The parts of a framed message, as [start, end) offsets; frames in order. They are read from the bytes and not by the
// client, because the tests judge both sides by them.
export function layoutOf(message) {
  let at = 0;
  const take = (length) => {
    if (at + length > message.length) throw new Error('layoutOf: the message is cut');
    return [at, (at += length)];
  };
  const number = ([start, end]) => message.readUIntBE(start, end - start);
  const counted = () => take(number(take(2)));

  const layout = { version: take(1) };
  const format = number(layout.version);
  if (format === 1) layout.type = take(1);
  layout.suite = take(2);
  layout.messageId = take(format === 1 ? 16 : 32);
  layout.context = counted();
  layout.edks = [];
  for (let left = number(take(2)); left > 0; left--) {
    const start = at;
    const parts = { providerId: counted(), providerInfo: counted(), ciphertext: counted() };
    layout.edks.push({ whole: [start, at], ...parts });
  }
  layout.contentType = take(1);
  if (format === 1) layout.reserved = take(4);
  if (format === 1) layout.ivLength = take(1);
  layout.frameLength = take(4);
  if (format === 2) layout.commitKey = take(32);
  if (format === 1) layout.headerIv = take(12);
  layout.headerTag = take(16);
  layout.header = [0, at];

  layout.frames = [];
  for (let final = false; !final; ) {
    const start = at;
    final = number([at, at + 4]) === 0xffffffff;
    const frame = final ? { marker: take(4), sequence: take(4) } : { sequence: take(4) };
    frame.iv = take(12);
    if (final) frame.length = take(4);
    frame.content = take(number(final ? frame.length : layout.frameLength));
    frame.tag = take(16);
    layout.frames.push({ whole: [start, at], ...frame });
  }
  layout.body = [layout.header[1], at];
  if (signingSuites.includes(number(layout.suite))) {
    const start = at;
    layout.signature = counted();
    layout.footer = [start, at];
  }
  layout.end = at;
  return layout;
}
