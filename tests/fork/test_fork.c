/*
 * Fork: the child gets no part of what is left of a key, operations from before go no further in the child, and the child
 * can work, whatever the parent's threads were doing.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/keys_used.h"

#define LIMIT 5
#define CHILDREN 4

static struct kf_cmm *caching(struct kf_cmm *backing, struct kf_keyring *keyring)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    struct kf_cmm *cmm;
    assert_ok(kf_cache_new(100, &error, &options.cache), &error);
    options.cmm = backing;
    options.keyring = keyring;
    options.max_age_ms = 3600000;
    options.max_messages = LIMIT;
    assert_ok(kf_caching_cmm_new(&options, &error, &cmm), &error);
    kf_cache_unref(options.cache);
    return cmm;
}

/* The message's key, or false. Asserts nothing, since it runs in children too. */
static bool encrypt(struct kf_cmm *cmm, struct key_trace *trace)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    struct kf_buf message = KF_BUF_INIT;
    const struct kf_header *header;
    bool good = kf_encrypt(cmm, &options, kf_view_text("plaintext"), NULL, &message) == KF_OK &&
                kf_header_parse(kf_view_of(message.data, message.length), 0, NULL, &header) == KF_OK;
    if (good) {
        memcpy(trace->bytes, kf_header_edk(header, 0).ciphertext.data, KEY_TRACE_LENGTH);
        kf_header_unref(header);
    }
    kf_buf_free(&message);
    return good;
}

/*
 * Runs `work` in a child, which writes to a pipe; the test reads `length` bytes. The child has to exit with
 * 0.
 */
static void in_child(bool (*work)(void *context, int out), void *context, void *result, size_t length)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        alarm(60); /* a child that hangs has failed */
        _exit(work(context, ends[1]) ? 0 : 1);
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t more; got < length && (more = read(ends[0], (char *)result + got, length - got)) > 0;)
        got += (size_t)more;
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_int_equal(got, length);
}

static bool encrypt_five(void *context, int out)
{
    for (unsigned i = 0; i < LIMIT; i++) {
        struct key_trace trace;
        if (!encrypt(context, &trace) || write(out, &trace, sizeof trace) != (ssize_t)sizeof trace)
            return false;
    }
    return true;
}

static void test_a_warm_key_is_not_used_by_children(void **state)
{
    (void)state;
    struct kf_keyring *keyring = support_keyring();
    struct kf_cmm *cmm = caching(NULL, keyring);
    struct key_trace traces[1 + CHILDREN * LIMIT + LIMIT - 1];
    size_t count = 0, most;
    assert_true(encrypt(cmm, &traces[count++])); /* four uses are left */
    for (unsigned i = 0; i < CHILDREN; i++, count += LIMIT)
        in_child(encrypt_five, cmm, &traces[count], LIMIT * sizeof traces[0]);
    for (unsigned i = 1; i < LIMIT; i++)
        assert_true(encrypt(cmm, &traces[count++]));
    /* The parent's key and one for each child, each used up to its limit and no further. */
    assert_int_equal(key_traces_count(traces, count, &most), 1 + CHILDREN);
    assert_int_equal(most, LIMIT);
    kf_cmm_unref(cmm);
    kf_keyring_unref(keyring);
}

static enum kf_code poll(struct kf_encryptor *encryptor, struct bell *bell)
{
    struct kf_io io = {.in = NULL};
    const struct kf_waker waker = bell_waker(bell);
    return kf_encryptor_poll(encryptor, &io, &waker);
}

static struct kf_encryptor *begin(struct kf_cmm *cmm)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_encryptor *encryptor;
    options.plaintext_bound = 9;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &encryptor), &error);
    return encryptor;
}

/* What a child sees of an operation of its parent's: its code, and that freeing it is allowed. */
static bool poll_and_free(void *context, int out)
{
    struct kf_encryptor *encryptor = context;
    struct kf_io io = {.in = NULL};
    enum kf_code code = kf_encryptor_poll(encryptor, &io, NULL);
    kf_encryptor_free(encryptor);
    return write(out, &code, sizeof code) == (ssize_t)sizeof code;
}

static void test_an_operation_ends_at_the_fork_whatever_its_stage(void **state)
{
    (void)state;
    struct kf_cmm *backing;
    struct told *told = told_new(&backing);
    struct kf_cmm *cmm = caching(backing, NULL);
    struct bell bell;
    bell_init(&bell);
    enum kf_code code;

    struct kf_encryptor *unasked = begin(cmm);
    in_child(poll_and_free, unasked, &code, sizeof code);
    assert_int_equal(code, KF_E_FORKED);

    struct kf_encryptor *waiting = begin(cmm);
    assert_int_equal(poll(waiting, &bell), KF_PENDING);
    in_child(poll_and_free, waiting, &code, sizeof code);
    assert_int_equal(code, KF_E_FORKED);

    /* The parent notices nothing, and its key is there for the other. */
    told_answer_all(told, KF_OK);
    enum kf_code answer;
    while ((answer = poll(waiting, &bell)) == KF_PENDING)
        bell_wait(&bell);
    assert_int_equal(answer, KF_WANT_OUTPUT);
    in_child(poll_and_free, waiting, &code, sizeof code);
    assert_int_equal(code, KF_E_FORKED);

    uint8_t out[8];
    struct kf_io io = {.out = out, .out_room = sizeof out};
    assert_int_equal(kf_encryptor_poll(waiting, &io, NULL), KF_WANT_OUTPUT);
    in_child(poll_and_free, waiting, &code, sizeof code);
    assert_int_equal(code, KF_E_FORKED);

    assert_int_equal(poll(unasked, &bell), KF_WANT_OUTPUT);
    assert_int_equal(told_begun(told), 1);
    kf_encryptor_free(unasked);
    kf_encryptor_free(waiting);
    kf_cmm_unref(cmm);
    kf_cmm_unref(backing);
    kf_cleanup();
    told_free(told);
    bell_destroy(&bell);
}

/* In the child: a fetch that has to wait, so that the child needs an internal thread of its own. */
static enum kf_code wait_first(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                               struct kf_error *error, const struct kf_encryption_materials **out)
{
    static char waited;
    if (kf_call_state(call) == NULL) {
        kf_call_state_set(call, &waited, NULL);
        enum kf_code code = kf_call_wake_in(call, 1);
        return code == KF_OK ? KF_PENDING : kf_error_set(error, code, "There is no timer.");
    }
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, error, out);
}

static enum kf_code never_decrypt(void *self, struct kf_call *call,
                                  const struct kf_decryption_request *request, struct kf_error *error,
                                  const struct kf_decryption_materials **out)
{
    (void)self;
    (void)call;
    (void)request;
    (void)out;
    return kf_error_set(error, KF_E_USAGE, "This CMM only encrypts.");
}

static void test_a_child_works_while_the_parent_fetches(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, wait_first, never_decrypt, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *inner = support_cmm(), *slow, *told_backing;
    assert_ok(kf_cmm_new(&vtable, inner, &error, &slow), &error);
    struct kf_cmm *slow_cache = caching(slow, NULL);

    /* The parent's thread has a fetch that does not end, and its other callers come and go. */
    struct told *told = told_new(&told_backing);
    struct kf_cmm *told_cache = caching(told_backing, NULL);
    struct bell bell;
    bell_init(&bell);
    struct kf_encryptor *waiting = begin(told_cache);
    assert_int_equal(poll(waiting, &bell), KF_PENDING);

    struct key_trace traces[LIMIT * 3];
    size_t most;
    for (unsigned i = 0; i < 2; i++)
        in_child(encrypt_five, slow_cache, &traces[i * LIMIT], LIMIT * sizeof traces[0]);
    for (unsigned i = 0; i < LIMIT; i++)
        assert_true(encrypt(slow_cache, &traces[2 * LIMIT + i]));
    assert_int_equal(key_traces_count(traces, LIMIT * 3, &most), 3);
    assert_int_equal(most, LIMIT);

    kf_encryptor_free(waiting);
    kf_cmm_unref(told_cache);
    kf_cmm_unref(slow_cache);
    kf_cleanup();
    kf_cmm_unref(told_backing);
    told_free(told);
    kf_cmm_unref(slow);
    kf_cmm_unref(inner);
    bell_destroy(&bell);
}

/* Ends everything in the child that the parent had under way. */
static bool end_everything(void *context, int out)
{
    kf_cmm_unref(context);
    kf_cleanup();
    return write(out, "", 1) == 1;
}

static void test_a_child_may_let_go_of_what_it_inherited(void **state)
{
    (void)state;
    struct kf_cmm *backing;
    struct told *told = told_new(&backing);
    struct kf_cmm *cmm = caching(backing, NULL);
    struct bell bell;
    bell_init(&bell);
    struct kf_encryptor *waiting = begin(cmm);
    assert_int_equal(poll(waiting, &bell), KF_PENDING);
    char done;
    in_child(end_everything, cmm, &done, 1);
    kf_encryptor_free(waiting);
    kf_cmm_unref(cmm);
    kf_cleanup();
    kf_cmm_unref(backing);
    told_free(told);
    bell_destroy(&bell);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_warm_key_is_not_used_by_children),
        cmocka_unit_test(test_an_operation_ends_at_the_fork_whatever_its_stage),
        cmocka_unit_test(test_a_child_works_while_the_parent_fetches),
        cmocka_unit_test(test_a_child_may_let_go_of_what_it_inherited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
