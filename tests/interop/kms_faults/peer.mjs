// The JavaScript KMS client and ESDK against the fault-injecting KMS: operations, errors, a message both ways. Run by
// `run`; the last line is "N passed, M failed".
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.PACKAGES}/`);
const { KMS, KMSClient, GenerateDataKeyCommand, EncryptCommand, DecryptCommand } = require('@aws-sdk/client-kms');
const { KmsKeyringNode, buildClient, getClient, CommitmentPolicy } = require('@aws-crypto/client-node');

const KEY = 'arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab';
const OTHER = KEY.slice(0, -1) + 'c';
const context = { purpose: 'tests', größe: '"klein"' };
const server = spawn('python3', [process.env.SERVER], { stdio: ['pipe', 'pipe', 'inherit'] });
const place = JSON.parse((await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next()).value);
const results = [];

const control = async (settings) =>
  (await fetch(`${place.control}/_control`, { method: 'POST', body: JSON.stringify(settings) })).json();

function check(what, holds) {
  results.push(Boolean(holds));
  if (!holds) console.error(`peer.mjs: ${what}`);
}

async function refused(name, command, from = client) {
  try {
    await from.send(command);
    check(`${name} did not come`, false);
  } catch (error) {
    check(`${name} came as ${error}`, error.name === name && error.$metadata.requestId);
  }
}

await control({ verify: true });
const options = {
  endpoint: place.url,
  region: 'eu-west-1',
  maxAttempts: 1,
  credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'the-secret-of-the-tests' },
};
const client = new KMSClient(options);
const made = await client.send(new GenerateDataKeyCommand({ KeyId: KEY, NumberOfBytes: 32, EncryptionContext: context }));
check('a data key', made.KeyId === KEY && made.Plaintext.length === 32);
const ask = { CiphertextBlob: made.CiphertextBlob, EncryptionContext: context };
const opened = await client.send(new DecryptCommand({ ...ask, KeyId: KEY }));
check('opened', Buffer.from(opened.Plaintext).equals(Buffer.from(made.Plaintext)));
const wrapped = await client.send(new EncryptCommand({ KeyId: OTHER, Plaintext: made.Plaintext }));
check('wrapped', wrapped.KeyId === OTHER);

await refused('IncorrectKeyException', new DecryptCommand({ ...ask, KeyId: OTHER }));
await refused('InvalidCiphertextException', new DecryptCommand({ ...ask, EncryptionContext: {} }));
await refused('NotFoundException', new EncryptCommand({ KeyId: KEY.replace('west', 'central'), Plaintext: Buffer.from('x') }));
await control({ states: { [KEY]: 'Disabled' } });
await refused('DisabledException', new EncryptCommand({ KeyId: KEY, Plaintext: Buffer.from('x') }));
await control({ states: {} });
const stranger = new KMSClient({ ...options, credentials: { ...options.credentials, secretAccessKey: 'wrong' } });
await refused('InvalidSignatureException', new EncryptCommand({ KeyId: KEY, Plaintext: Buffer.from('x') }), stranger);
await control({ faults: [{ kind: 'error', count: 1, value: { code: 'ThrottlingException', message: 'Rate exceeded' } }] });
await refused('ThrottlingException', new EncryptCommand({ KeyId: KEY, Plaintext: Buffer.from('x') }));

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const clientProvider = getClient(KMS, options);
const keyring = new KmsKeyringNode({ clientProvider, generatorKeyId: KEY, keyIds: [OTHER] });
const { result } = await encrypt(keyring, Buffer.from('text'), { encryptionContext: context });
const reader = new KmsKeyringNode({ clientProvider, keyIds: [OTHER] });
check('a message', (await decrypt(reader, result)).plaintext.toString() === 'text');
await control({ faults: [{ kind: 'members', operation: 'Decrypt', value: { KeyId: KEY } }] });
check('a lie is refused', await decrypt(reader, result).then(() => false, () => true));

server.stdin.end();
const failed = results.filter((holds) => !holds).length;
console.log(`${results.length - failed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
client.destroy();
stranger.destroy();
