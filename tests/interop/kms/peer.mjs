// Two-way exchange with the official JavaScript client: each unwraps what the other has wrapped by KMS. Started by `run`,
// which names program, keys, emulator and the folder of the packages in the environment. Prints failures, then the counts.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';

const { KEYFLIGHT, KMS_URL, KMS_REGION, KMS_KEY_ONE, KMS_KEY_TWO, PACKAGES } = process.env;
const require = createRequire(`${PACKAGES}/`);
const { AlgorithmSuiteIdentifier, KMS, KmsKeyringNode, buildClient, getClient } = require('@aws-crypto/client-node');

const keys = { one: KMS_KEY_ONE, two: KMS_KEY_TWO };
const [, partition, , , account] = KMS_KEY_ONE.split(':');
const suites = {
  '0478': AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
  '0578': AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
};
const context = { tenant: '42', purpose: 'interop', 'schlüssel': '鍵 "quoted" \\' };
const plaintext = Buffer.from(Array.from({ length: 10000 }, (_, i) => (i * i) % 251));
const client = buildClient();

// ---- keyrings of the client, and options of the program, by the same names

const clientProvider = getClient(KMS, { endpoint: KMS_URL });

function keyringOf(names) {
  if (names[0] === 'discovery') {
    const discoveryFilter = { partition, accountIDs: [account] };
    return new KmsKeyringNode({ clientProvider, discovery: true, discoveryFilter });
  }
  const [generatorKeyId, ...keyIds] = names.map((name) => keys[name]);
  return new KmsKeyringNode({ clientProvider, generatorKeyId, keyIds });
}

function optionsOf(names) {
  if (names[0] === 'discovery') return ['-k', `kms-discovery:${partition}:${account}`];
  return names.flatMap((name) => ['-k', `kms:${keys[name]}`]);
}

function program(command, names, input, more = []) {
  const args = [command, ...optionsOf(names), '--endpoint-url', KMS_URL, '--region', KMS_REGION, ...more];
  const { error, status, signal, stdout, stderr } = spawnSync(KEYFLIGHT, args, { input });
  if (error) throw error;
  assert.equal(status, 0, `keyflight ${command}: exit ${status ?? signal}: ${stderr}`);
  return stdout;
}

// ---- the two directions

async function clientToProgram(suite, wrapping, unwrapping) {
  const options = { suiteId: suites[suite], encryptionContext: context };
  const { result: message } = await client.encrypt(keyringOf(wrapping), plaintext, options);
  assert.ok(program('decrypt', unwrapping, message).equals(plaintext), 'decrypted to something else');
}

async function programToClient(suite, wrapping, unwrapping) {
  const pairs = Object.entries(context).flatMap(([key, value]) => ['-c', `${key}=${value}`]);
  const message = program('encrypt', wrapping, plaintext, ['--suite', suite, ...pairs]);
  const { plaintext: got, messageHeader: header } = await client.decrypt(keyringOf(unwrapping), message);
  assert.ok(got.equals(plaintext), 'decrypted to something else');
  const { 'aws-crypto-public-key': publicKey, ...rest } = header.encryptionContext;
  assert.deepEqual(rest, context);
  assert.equal(publicKey !== undefined, suite === '0578');
  const edks = header.encryptedDataKeys.map(({ providerId, providerInfo }) => [providerId, providerInfo]);
  assert.deepEqual(edks, wrapping.map((name) => ['aws-kms', keys[name]]));
}

const directions = { 'client to program': clientToProgram, 'program to client': programToClient };
const uses = [
  [['one'], ['one']],
  [['one', 'two'], ['one']],
  [['one', 'two'], ['two']],
  [['one', 'two'], ['one', 'two']],
  [['two'], ['discovery']],
];
let [passed, failed] = [0, 0];
for (const suite of Object.keys(suites)) {
  for (const [wrapping, unwrapping] of uses) {
    for (const [name, direction] of Object.entries(directions)) {
      try {
        await direction(suite, wrapping, unwrapping);
        passed++;
      } catch (error) {
        failed++;
        const [wrapped, unwrapped] = [wrapping.join('+'), unwrapping.join('+')];
        console.error(`FAILED ${name}: ${suite}, wrapped by ${wrapped}, unwrapped by ${unwrapped}\n  ${error.message}`);
      }
    }
  }
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
