/*
 * The multi-keyring: children side by side, EDKs in their order, errors collected.
 */
#include <string.h>

#include "support/client.h"

/* A keyring that answers in its second poll, by the wake of its neighbour, so that wraps have to be under way together. */
struct slow {
    struct kf_keyring *inner;
    unsigned polls, *together; /* how many of them are pending right now */
    unsigned wanted;
};

static enum kf_code slow_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    struct slow *slow = self;
    if (slow->polls++ == 0)
        ++*slow->together;
    if (*slow->together < slow->wanted) {
        struct kf_call_waker *waker = kf_call_waker(call);
        kf_call_state_set(call, waker, NULL);
        kf_call_waker_wake(waker);
        kf_call_waker_unref(waker);
        return KF_PENDING;
    }
    return kf_keyring_on_encrypt(slow->inner, kf_call_child(call, 0), materials, error, out);
}

static enum kf_code refuse_decrypt(void *self, struct kf_call *call,
                                   const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                   size_t count, struct kf_error *error, struct kf_data_key *out)
{
    (void)self;
    (void)call;
    (void)materials;
    (void)edks;
    (void)count;
    (void)out;
    return kf_error_set(error, KF_E_KEYS, "This keyring only encrypts.");
}

static enum kf_code fail_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    (void)self;
    (void)call;
    (void)materials;
    (void)out;
    return kf_error_set(error, KF_E_REMOTE, "This keyring always fails.");
}

static struct kf_keyring *plug(const struct kf_keyring_vtable *vtable, void *self)
{
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_keyring_new(vtable, self, &error, &keyring), &error);
    return keyring;
}

static struct kf_cmm *multi_cmm(struct kf_keyring *generator, struct kf_keyring *const *children,
                                size_t count)
{
    struct kf_keyring *multi;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(generator, children, count, &error, &multi), &error);
    return client_cmm_on(multi);
}

static void test_children_wrap_side_by_side_in_their_order(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {sizeof vtable, slow_encrypt, refuse_decrypt, NULL};
    static const char *const names[] = {"one", "two", "three"};
    unsigned together = 0;
    struct slow slows[3];
    struct kf_keyring *generator = client_keyring("zero", 9), *children[3];
    for (size_t i = 0; i < 3; i++) {
        slows[i] = (struct slow){client_keyring(names[i], (uint8_t)i), 0, &together, 3};
        children[i] = plug(&vtable, &slows[i]);
    }
    struct kf_cmm *cmm = multi_cmm(generator, children, 3);
    struct kf_buf message = client_message(cmm, NULL, client_plaintext(10));
    assert_int_equal(together, 3);

    struct kf_header *header;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_header_parse(buf_view(message), 0, &error, &header), &error);
    assert_int_equal(kf_header_edk_count(header), 4);
    assert_memory_equal(kf_header_edk(header, 0).provider_info.data, "zero", 4);
    for (size_t i = 0; i < 3; i++) {
        assert_memory_equal(kf_header_edk(header, i + 1).provider_info.data, names[i], strlen(names[i]));
        /* Each alone can read it. */
        struct kf_cmm *alone = client_cmm_on(kf_keyring_ref(slows[i].inner));
        assert_decrypts(alone, NULL, buf_view(message), client_plaintext(10));
        kf_cmm_unref(alone);
    }
    kf_header_unref(header);
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    kf_keyring_unref(generator);
    for (size_t i = 0; i < 3; i++) {
        kf_keyring_unref(children[i]);
        kf_keyring_unref(slows[i].inner);
    }
}

static void test_one_failure_fails_all_and_a_generator_is_needed(void **state)
{
    (void)state;
    static const struct kf_keyring_vtable vtable = {sizeof vtable, fail_encrypt, refuse_decrypt, NULL};
    struct kf_keyring *good = client_keyring("good", 1), *bad = plug(&vtable, NULL);
    struct kf_error error = KF_ERROR_INIT;
    struct kf_buf message = KF_BUF_INIT;
    struct kf_cmm *child_fails = multi_cmm(good, &bad, 1), *generator_fails = multi_cmm(bad, &good, 1),
                  *no_generator = multi_cmm(NULL, &good, 1);
    assert_int_equal(kf_encrypt(child_fails, NULL, client_plaintext(1), &error, &message), KF_E_REMOTE);
    assert_int_equal(kf_encrypt(generator_fails, NULL, client_plaintext(1), &error, &message), KF_E_REMOTE);
    assert_int_equal(kf_encrypt(no_generator, NULL, client_plaintext(1), &error, &message), KF_E_KEYS);
    assert_int_equal(message.length, 0);
    struct kf_keyring *none;
    assert_int_equal(kf_multi_keyring_new(NULL, NULL, 0, &error, &none), KF_E_USAGE);
    kf_cmm_unref(child_fails);
    kf_cmm_unref(generator_fails);
    kf_cmm_unref(no_generator);
    kf_keyring_unref(good);
    kf_keyring_unref(bad);
}

static void test_decryption_asks_in_turn_and_collects_what_they_say(void **state)
{
    (void)state;
    struct kf_keyring *one = client_keyring("one", 1), *two = client_keyring("two", 2),
                      *three = client_keyring("three", 3);
    struct kf_cmm *writer = client_cmm_on(kf_keyring_ref(two));
    struct kf_keyring *with[] = {three, two}, *without[] = {three};
    struct kf_cmm *reader = multi_cmm(one, with, 2), *stranger = multi_cmm(one, without, 1);
    struct kf_buf message = client_message(writer, NULL, client_plaintext(10)), plaintext = KF_BUF_INIT;
    struct kf_error error = KF_ERROR_INIT;
    assert_decrypts(reader, NULL, buf_view(message), client_plaintext(10));
    assert_int_equal(kf_decrypt(stranger, NULL, buf_view(message), &error, NULL, &plaintext), KF_E_KEYS);
    assert_non_null(strstr(error.text, "\"one\""));
    assert_non_null(strstr(error.text, "\"three\""));
    kf_buf_free(&plaintext);
    kf_buf_free(&message);
    kf_cmm_unref(reader);
    kf_cmm_unref(stranger);
    kf_cmm_unref(writer);
    kf_keyring_unref(one);
    kf_keyring_unref(two);
    kf_keyring_unref(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_children_wrap_side_by_side_in_their_order),
        cmocka_unit_test(test_one_failure_fails_all_and_a_generator_is_needed),
        cmocka_unit_test(test_decryption_asks_in_turn_and_collects_what_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
