/*
 * Every way to encrypt and decrypt: see ways.h.
 */
#include "support/ways.h"

#include <keyflight/aws.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/client.h"
#include "support/http_server.h"
#include "support/keyring_pairs.h"

#define KMS_KEY "arn:aws:kms:eu-central-1:111122223333:key/12345678-1234-1234-1234-123456789012"
#define KMS_DATA_KEY "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="

const char *const way_names[WAYS] = {
    [WAY_AES] = "aes",
    [WAY_CACHED] = "cached",
    [WAY_SIGNED] = "signed",
    [WAY_SIGNED_P256] = "signed-p256",
    [WAY_STREAM] = "stream",
    [WAY_RSA] = "rsa",
    [WAY_ECDH] = "ecdh",
    [WAY_MULTI] = "multi",
    [WAY_REQUIRED] = "required",
    [WAY_ASYNC] = "async",
    [WAY_ASYNC_CACHED] = "async-cached",
    [WAY_BLOCKING] = "blocking",
    [WAY_JOBS] = "jobs",
    [WAY_KMS] = "kms",
};

static struct {
    struct kf_cmm *writer, *reader;
} cmms[WAYS];
static const struct kf_encryption_context *context;
static struct kf_aws_client *client;
static struct http_server *server; /* NULL: it is apart */
static pid_t server_process;
static int server_leash = -1; /* when it closes, the process ends */
static SSL_CTX *tls;
static char certificate[256];

/* ---- A keyring that is polled twice ---- */

/* True at the second poll. */
static bool polled_before(struct kf_call *call, struct kf_error *error, enum kf_code *code)
{
    static char seen;
    if (kf_call_state(call) != NULL)
        return true;
    kf_call_state_set(call, &seen, NULL);
    *code = kf_call_wake_in(call, 0);
    if (*code == KF_OK)
        *code = KF_PENDING;
    else
        kf_error_set(error, *code, "There is no timer.");
    return false;
}

static enum kf_code async_on_encrypt(void *self, struct kf_call *call,
                                     const struct kf_encryption_materials *materials, struct kf_error *error,
                                     struct kf_wrapped *out)
{
    enum kf_code code;
    if (!polled_before(call, error, &code))
        return code;
    return kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code async_on_decrypt(void *self, struct kf_call *call,
                                     const struct kf_decryption_materials *materials,
                                     const struct kf_edk *edks, size_t edk_count, struct kf_error *error,
                                     struct kf_data_key *out)
{
    enum kf_code code;
    if (!polled_before(call, error, &code))
        return code;
    return kf_keyring_on_decrypt(self, kf_call_child(call, 0), materials, edks, edk_count, error, out);
}

static void async_destroy(void *self)
{
    kf_keyring_unref(self);
}

struct kf_keyring *way_async_keyring(void)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, async_on_encrypt, async_on_decrypt,
                                                    async_destroy, true};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    assert_ok(kf_keyring_new(&vtable, client_keyring("one", 1), &error, &keyring), &error);
    return keyring;
}

static struct kf_keyring *blocking_keyring(void)
{
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    options.keyring = client_keyring("one", 1);
    assert_ok(kf_blocking_keyring_new(&options, &error, &keyring), &error);
    kf_keyring_unref(options.keyring);
    return keyring;
}

/* ---- KMS ---- */

static void answer_kms(const struct http_asked *asked, struct http_answer *answer)
{
    const bool decrypts = strcasestr(asked->head, "\r\nx-amz-target: trentservice.decrypt\r\n") != NULL;
    answer->body = decrypts ? "{\"KeyId\":\"" KMS_KEY "\",\"Plaintext\":\"" KMS_DATA_KEY "\"}"
                            : "{\"CiphertextBlob\":\"d3JhcHBlZC0x\",\"KeyId\":\"" KMS_KEY
                              "\",\"Plaintext\":\"" KMS_DATA_KEY "\"}";
    answer->body_length = strlen(answer->body);
}

static int serve(void)
{
    tls = http_server_tls(certificate, 0);
    server = http_server_new(tls, answer_kms);
    return http_server_port(server);
}

/* In the process of the server: tells the port, and ends when nobody holds the leash any more. */
static void serve_apart(int up, int down)
{
    char nothing;
    const int port = serve();
    const bool told = write(up, &port, sizeof port) == (ssize_t)sizeof port;
    _exit(told && read(down, &nothing, 1) == 0 ? 0 : 1);
}

static int start_apart(void)
{
    int up[2], down[2], port;
    assert_int_equal(pipe(up), 0);
    assert_int_equal(pipe(down), 0);
    server_process = fork();
    if (server_process == 0) {
        close(down[1]);
        serve_apart(up[1], down[0]);
    }
    close(up[1]);
    close(down[0]);
    assert_int_equal(read(up[0], &port, sizeof port), sizeof port);
    close(up[0]);
    server_leash = down[1];
    return port;
}

static struct kf_keyring *kms_keyring(int port)
{
    struct kf_aws_credentials credentials = KF_AWS_CREDENTIALS_INIT;
    struct kf_aws_client_options options = KF_AWS_CLIENT_OPTIONS_INIT;
    struct kf_aws_kms_keyring_options keyring_options = KF_AWS_KMS_KEYRING_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    char url[64];
    snprintf(url, sizeof url, "https://127.0.0.1:%d", port);
    credentials.access_key_id = kf_view_text("AKIAIOSFODNN7EXAMPLE");
    credentials.secret_access_key = kf_view_text("a-secret-of-the-tests");
    assert_ok(kf_aws_static_credentials_new(&credentials, &error, &options.credentials), &error);
    options.endpoint_url = url;
    options.region = "eu-central-1";
    options.ca_bundle = certificate;
    options.connect_timeout_ms = options.attempt_timeout_ms = options.request_timeout_ms = 600000;
    assert_ok(kf_aws_client_new(&options, &error, &client), &error);
    kf_aws_credentials_provider_unref(options.credentials);
    keyring_options.client = client;
    keyring_options.generator = KMS_KEY;
    assert_ok(kf_aws_kms_keyring_new(&keyring_options, &error, &keyring), &error);
    return keyring;
}

/* ---- All of them ---- */

/* Takes over the reference of `keyring`. */
static struct kf_cmm *caching_on(struct kf_keyring *keyring)
{
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_cache_new(10, &error, &options.cache), &error);
    options.keyring = keyring;
    options.max_age_ms = 3600000;
    options.max_messages = 3;
    options.fetch_timeout_ms = 3600000;
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_unref(options.cache);
    kf_keyring_unref(keyring);
    return cmm;
}

/* Takes over the reference of `backing`. */
static struct kf_cmm *requiring_on(struct kf_cmm *backing)
{
    const struct kf_view required = kf_view_text("tenant");
    struct kf_required_encryption_context_cmm_options options =
        KF_REQUIRED_ENCRYPTION_CONTEXT_CMM_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm;
    options.cmm = backing;
    options.required_keys = &required;
    options.required_key_count = 1;
    assert_ok(kf_required_encryption_context_cmm_new(&options, &error, &cmm), &error);
    kf_cmm_unref(backing);
    return cmm;
}

/* Takes over the references. */
static void open_way(enum ways way, struct kf_cmm *writer, struct kf_cmm *reader)
{
    cmms[way].writer = writer;
    cmms[way].reader = reader != NULL ? reader : kf_cmm_ref(writer);
}

static void open_pair(enum ways way, enum keyring_pair pair)
{
    open_way(way, client_cmm_on(keyring_pair_writer(pair)), client_cmm_on(keyring_pair_reader(pair)));
}

static void open_all(int port)
{
    context = client_context("purpose", "tests", "tenant", "7");
    open_way(WAY_AES, support_cmm(), NULL);
    open_way(WAY_CACHED, caching_on(support_keyring()), NULL);
    open_way(WAY_SIGNED, support_cmm(), NULL);
    open_way(WAY_SIGNED_P256, support_cmm(), NULL);
    open_way(WAY_STREAM, support_cmm(), NULL);
    open_pair(WAY_RSA, PAIR_RSA_OAEP_SHA256);
    open_pair(WAY_ECDH, PAIR_ECDH_EPHEMERAL);
    open_pair(WAY_MULTI, PAIR_MULTI);
    open_way(WAY_REQUIRED, requiring_on(support_cmm()), NULL);
    open_way(WAY_ASYNC, client_cmm_on(way_async_keyring()), NULL);
    open_way(WAY_ASYNC_CACHED, caching_on(way_async_keyring()), NULL);
    open_way(WAY_BLOCKING, client_cmm_on(blocking_keyring()), NULL);
    open_way(WAY_JOBS, client_cmm_on(way_async_keyring()), NULL);
    open_way(WAY_KMS, client_cmm_on(kms_keyring(port)), NULL);
}

void ways_open(const char *file)
{
    snprintf(certificate, sizeof certificate, "%s", file);
    open_all(serve());
}

void ways_open_apart(const char *file)
{
    snprintf(certificate, sizeof certificate, "%s", file);
    open_all(start_apart());
}

void ways_release(void)
{
    for (size_t i = 0; i < WAYS; i++) {
        kf_cmm_unref(cmms[i].writer);
        kf_cmm_unref(cmms[i].reader);
    }
    memset(cmms, 0, sizeof cmms);
    kf_aws_client_unref(client);
    client = NULL;
    kf_encryption_context_unref(context);
    context = NULL;
}

void ways_close(void)
{
    ways_release();
    kf_cleanup();
    if (server != NULL) {
        http_server_free(server);
        SSL_CTX_free(tls);
        server = NULL;
    } else {
        close(server_leash);
        waitpid(server_process, NULL, 0);
    }
    unlink(certificate);
}

/* ---- Round trips ---- */

static enum kf_code by_stream(struct kf_cmm *cmm, bool decrypts, const void *options, struct kf_view input,
                              struct kf_error *error, uint8_t *out, size_t room, size_t *length)
{
    struct kf_encryptor *encryptor = NULL;
    struct kf_decryptor *decryptor = NULL;
    enum kf_code code = decrypts ? kf_decryptor_new(cmm, options, error, &decryptor)
                                 : kf_encryptor_new(cmm, options, error, &encryptor);
    struct kf_io io = {.in = input.data, .out = out};
    const size_t piece = 100;
    while (code >= KF_OK) {
        const size_t in_left = input.length - (size_t)(io.in - input.data);
        const size_t out_left = room - (size_t)(io.out - out);
        io.in_length = in_left < piece ? in_left : piece;
        io.in_end = io.in_length == in_left;
        io.out_room = out_left < piece ? out_left : piece;
        code = decrypts ? kf_decryptor_poll(decryptor, &io, NULL) : kf_encryptor_poll(encryptor, &io, NULL);
        io.in += io.in_used;
        io.out += io.out_used;
        if (code == KF_OK || (code == KF_WANT_OUTPUT && out_left == 0))
            break;
    }
    if (code < KF_OK && (encryptor != NULL || decryptor != NULL))
        *error = decrypts ? *kf_decryptor_error(decryptor) : *kf_encryptor_error(encryptor);
    *length = (size_t)(io.out - out);
    kf_encryptor_free(encryptor);
    kf_decryptor_free(decryptor);
    return code;
}

static bool same(struct kf_view a, const uint8_t *data, size_t length)
{
    return length == a.length && memcmp(a.data, data, length) == 0;
}

static enum kf_code changed(struct kf_error *error)
{
    return kf_error_set(error, KF_E_BUG, "What came back was not what went in.");
}

static const struct kf_view plaintext = {(const uint8_t *)"a plaintext of three frames", 27};

static enum kf_code stream_round_trip(const struct kf_encrypt_options *options, struct kf_error *error)
{
    uint8_t message[2000], back[64];
    size_t length, back_length;
    enum kf_code code = by_stream(cmms[WAY_STREAM].writer, false, options, plaintext, error, message,
                                  sizeof message, &length);
    if (code == KF_OK)
        code = by_stream(cmms[WAY_STREAM].reader, true, NULL, kf_view_of(message, length), error, back,
                         sizeof back, &back_length);
    return code == KF_OK && !same(plaintext, back, back_length) ? changed(error) : code;
}

/* Where a job puts what it got. */
struct outcome {
    enum kf_code code;
    struct kf_error *error;
    struct kf_buf out;
};

static void job_done(void *target, const struct kf_job_result *result)
{
    struct outcome *outcome = target;
    outcome->code = result->code;
    if (result->code != KF_OK)
        *outcome->error = *result->error;
    outcome->out = kf_buf_take(result->out);
}

static enum kf_code run_job(struct kf_jobs *jobs, enum kf_code begun, struct kf_error *error,
                            struct outcome *outcome)
{
    enum kf_code code = begun;
    if (code == KF_OK)
        code = kf_jobs_run(jobs, error);
    return code == KF_OK ? outcome->code : code;
}

static enum kf_code jobs_round_trip(const struct kf_encrypt_options *options, struct kf_error *error)
{
    struct outcome message = {KF_OK, error, KF_BUF_INIT}, back = {KF_OK, error, KF_BUF_INIT};
    struct kf_cmm *cmm = cmms[WAY_JOBS].writer;
    struct kf_jobs *jobs;
    enum kf_code code = kf_jobs_new(NULL, error, &jobs);
    if (code != KF_OK)
        return code;
    code = run_job(jobs, kf_jobs_encrypt(jobs, cmm, options, plaintext, job_done, &message, error, NULL),
                   error, &message);
    if (code == KF_OK)
        code = run_job(jobs,
                       kf_jobs_decrypt(jobs, cmm, NULL, buf_view(message.out), job_done, &back, error, NULL),
                       error, &back);
    if (code == KF_OK && !same(plaintext, back.out.data, back.out.length))
        code = changed(error);
    kf_jobs_free(jobs);
    kf_buf_free(&message.out);
    kf_buf_free(&back.out);
    return code;
}

static enum kf_code call_round_trip(enum ways way, const struct kf_encrypt_options *options,
                                    struct kf_error *error)
{
    struct kf_decrypt_options decryption = KF_DECRYPT_OPTIONS_INIT;
    struct kf_buf message = KF_BUF_INIT, back = KF_BUF_INIT;
    if (way == WAY_SIGNED_P256)
        decryption.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    if (way == WAY_REQUIRED)
        decryption.reproduced_encryption_context = context;
    enum kf_code code = kf_encrypt(cmms[way].writer, options, plaintext, error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmms[way].reader, &decryption, buf_view(message), error, NULL, &back);
    if (code == KF_OK && !same(plaintext, back.data, back.length))
        code = changed(error);
    kf_buf_free(&message);
    kf_buf_free(&back);
    return code;
}

enum kf_code way_round_trip(enum ways way, struct kf_error *error)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.encryption_context = context;
    options.frame_length = 10;
    if (way != WAY_SIGNED)
        options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    if (way == WAY_SIGNED_P256) {
        options.suite = KF_AES_128_GCM_IV12_TAG16_HKDF_SHA256_ECDSA_P256;
        options.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    }
    if (way == WAY_STREAM)
        return stream_round_trip(&options, error);
    if (way == WAY_JOBS)
        return jobs_round_trip(&options, error);
    return call_round_trip(way, &options, error);
}
