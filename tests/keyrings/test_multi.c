/*
 * The multi-keyring: the generator first, then the children side by side, and their EDKs in the order of the
 * children whatever order they answer in. A child that fails makes a wrap fail; on unwrapping it fails alone.
 * The children answer when the test tells them.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "support/client.h"
#include "support/parts.h"

#include "base/call.h"
#include "materials/materials.h"

/* ---- Keyrings that answer when told ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards every slow keyring */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

struct slow {
    const char *name;
    bool answered; /* set before it is asked, it answers at once */
    enum kf_code code;
    bool silent_key, silent_edk; /* it answers without what it should give */
    bool own_key;                /* it makes a data key although there is one */
    unsigned begun, polls, dropped, destroyed;
    struct kf_call_waker *waker;
    struct kf_data_key seen; /* the data key of the materials it was given */
};

static void slow_drop(void *state)
{
    struct slow *slow = state;
    pthread_mutex_lock(&lock);
    slow->dropped++;
    kf_call_waker_unref(slow->waker);
    slow->waker = NULL;
    pthread_mutex_unlock(&lock);
}

/* The data key of every generator here: its name, repeated. */
static struct kf_data_key key_by(const char *name)
{
    struct kf_data_key data_key = {.length = 32};
    for (size_t i = 0; i < data_key.length; i++)
        data_key.bytes[i] = (uint8_t)name[i % strlen(name)];
    return data_key;
}

static enum kf_code slow_poll(struct slow *slow, struct kf_call *call, struct kf_error *error)
{
    pthread_mutex_lock(&lock);
    slow->polls++;
    if (kf_call_state(call) == NULL) {
        slow->begun++;
        slow->waker = kf_call_waker_of(call);
        pthread_mutex_unlock(&lock);
        kf_call_state_set(call, slow, slow_drop);
        pthread_mutex_lock(&lock);
        pthread_cond_broadcast(&changed);
    }
    const enum kf_code code = slow->answered ? slow->code : KF_PENDING;
    pthread_mutex_unlock(&lock);
    return code < KF_OK ? kf_error_set(error, code, "Keyring %s was told to fail.", slow->name) : code;
}

static enum kf_code slow_encrypt(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    struct slow *slow = self;
    enum kf_code code = slow_poll(slow, call, error);
    if (code != KF_OK)
        return code;
    const struct kf_data_key made = key_by(slow->name);
    struct kf_view data_key = kf_encryption_materials_data_key(materials);
    slow->seen.length = data_key.length;
    memcpy(slow->seen.bytes, data_key.data, data_key.length);
    assert_int_equal(kf_encryption_materials_edk_count(materials),
                     0); /* no child sees what the others wrapped */
    if (slow->own_key || (data_key.length == 0 && !slow->silent_key)) {
        data_key = kf_view_of(made.bytes, made.length);
        code = kf_wrapped_data_key_set(out, data_key, error);
    }
    const struct kf_edk edk = {kf_view_text("slow"), kf_view_text(slow->name), data_key};
    return code == KF_OK && !slow->silent_edk ? kf_wrapped_edk_add(out, &edk, error) : code;
}

static enum kf_code slow_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                 size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    (void)materials, (void)edks, (void)edk_count;
    struct slow *slow = self;
    *out = key_by("wrong"); /* which has to be wiped if this fails */
    const enum kf_code code = slow_poll(slow, call, error);
    if (code == KF_OK)
        *out = key_by(slow->name);
    return code;
}

static void slow_destroy(void *self)
{
    struct slow *slow = self;
    slow->destroyed++;
}

static struct kf_keyring *slow_keyring(struct slow *slow)
{
    static const struct kf_keyring_vtable vtable = {sizeof vtable, slow_encrypt, slow_decrypt, slow_destroy,
                                                    false};
    struct kf_keyring *keyring;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_keyring_new(&vtable, slow, &error, &keyring), &error);
    return keyring;
}

static void answer(struct slow *slow, enum kf_code code)
{
    pthread_mutex_lock(&lock);
    slow->answered = true;
    slow->code = code;
    struct kf_call_waker *waker = kf_call_waker_ref(slow->waker);
    pthread_mutex_unlock(&lock);
    if (waker != NULL)
        kf_call_waker_wake(waker);
    kf_call_waker_unref(waker);
}

/* ---- A multi-keyring, and a caller ---- */

#define CHILDREN 3

struct scene {
    struct slow generator, children[CHILDREN];
    struct kf_keyring *multi;
    struct bell bell;
    struct kf_call call;
    struct kf_error error;
    struct kf_encryption_materials *encryption;
    struct kf_decryption_materials *decryption;
    struct kf_wrapped wrapped;
    struct kf_data_key unwrapped;
};

static void scene_open(struct scene *scene, bool with_generator)
{
    static const char *const names[CHILDREN] = {"a", "b", "c"};
    *scene = (struct scene){.generator = {.name = "generator"}};
    struct kf_keyring *generator = with_generator ? slow_keyring(&scene->generator) : NULL,
                      *children[CHILDREN];
    for (size_t i = 0; i < CHILDREN; i++) {
        scene->children[i].name = names[i];
        children[i] = slow_keyring(&scene->children[i]);
    }
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(generator, children, CHILDREN, &error, &scene->multi), &error);
    kf_keyring_unref(generator); /* the multi-keyring has references of its own */
    for (size_t i = 0; i < CHILDREN; i++)
        kf_keyring_unref(children[i]);
    bell_init(&scene->bell);
    const struct kfi_suite *suite = kfi_suite_get(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    scene->encryption = kfi_encryption_materials_new(suite);
    scene->decryption = kfi_decryption_materials_new(suite);
    kfi_call_init(&scene->call, NULL);
}

static void scene_close(struct scene *scene)
{
    kfi_call_end(&scene->call);
    kfi_wrapped_free(&scene->wrapped);
    kf_encryption_materials_unref(scene->encryption);
    kf_decryption_materials_unref(scene->decryption);
    assert_int_equal(scene->children[0].destroyed, 0);
    kf_keyring_unref(scene->multi);
    for (size_t i = 0; i < CHILDREN; i++) {
        assert_int_equal(scene->children[i].destroyed, 1);
        assert_int_equal(scene->children[i].dropped, scene->children[i].begun); /* all states were dropped */
    }
    bell_destroy(&scene->bell);
}

static enum kf_code scene_wrap(struct scene *scene)
{
    const struct kf_waker waker = bell_waker(&scene->bell);
    if (scene->call.child_count == 0 && kf_call_state(&scene->call) == NULL) {
        kfi_wrapped_free(&scene->wrapped);
        kfi_wrapped_init(&scene->wrapped, scene->encryption);
    }
    kfi_call_drive(&scene->call, &waker);
    return kf_keyring_on_encrypt(scene->multi, &scene->call, scene->encryption, &scene->error,
                                 &scene->wrapped);
}

static enum kf_code scene_unwrap(struct scene *scene)
{
    static const struct kf_edk edk = {{(const uint8_t *)"slow", 4}, {NULL, 0}, {NULL, 0}};
    const struct kf_waker waker = bell_waker(&scene->bell);
    kfi_call_drive(&scene->call, &waker);
    return kf_keyring_on_decrypt(scene->multi, &scene->call, scene->decryption, &edk, 1, &scene->error,
                                 &scene->unwrapped);
}

/* The names of the children that wrapped, in the order of their EDKs. */
static void check_edks(const struct scene *scene, const char *const *names, size_t count)
{
    assert_int_equal(scene->wrapped.edks.count, count);
    for (size_t i = 0; i < count; i++)
        assert_same_bytes(scene->wrapped.edks.items[i].provider_info, kf_view_text(names[i]));
}

/* ---- Wrapping ---- */

static void children_wrap_side_by_side_in_any_order(void **state)
{
    (void)state;
    static const size_t orders[6][CHILDREN] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                               {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t o = 0; o < 6; o++) {
        struct scene scene;
        scene_open(&scene, true);
        assert_int_equal(scene_wrap(&scene), KF_PENDING);
        assert_int_equal(scene.generator.begun, 1);
        for (size_t i = 0; i < CHILDREN; i++)
            assert_int_equal(scene.children[i].begun, 0); /* there is no key to wrap yet */
        answer(&scene.generator, KF_OK);
        bell_wait(&scene.bell);
        assert_int_equal(scene_wrap(&scene), KF_PENDING);
        for (size_t i = 0; i < CHILDREN; i++)
            assert_int_equal(scene.children[i].begun, 1); /* all at once */

        for (size_t i = 0; i < CHILDREN; i++) {
            answer(&scene.children[orders[o][i]], KF_OK);
            bell_wait(&scene.bell);
            assert_int_equal(scene_wrap(&scene), i + 1 < CHILDREN ? KF_PENDING : KF_OK);
        }
        check_edks(&scene, (const char *const[]){"generator", "a", "b", "c"}, 4);
        const struct kf_data_key made = key_by("generator");
        assert_same_bytes(kf_view_of(scene.wrapped.data_key.bytes, scene.wrapped.data_key.length),
                          kf_view_of(made.bytes, made.length));
        for (size_t i = 0; i < CHILDREN; i++) {
            assert_memory_equal(scene.children[i].seen.bytes, made.bytes, made.length);
            assert_int_equal(scene.children[i].begun, 1);
        }
        assert_int_equal(scene.generator.begun, 1);
        /*
         * A child that has answered is not polled again: the first one was polled when it was asked and when
         * it answered.
         */
        assert_int_equal(scene.children[orders[o][0]].polls, 2);
        scene_close(&scene);
    }
}

static void a_generator_wraps_a_key_that_is_there(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, true);
    scene.encryption->head.data_key = key_by("given");
    scene.generator.answered = true;
    for (size_t i = 0; i < CHILDREN; i++)
        scene.children[i].answered = true;
    assert_int_equal(scene_wrap(&scene), KF_OK); /* all answer at once: one poll is enough */
    check_edks(&scene, (const char *const[]){"generator", "a", "b", "c"}, 4);
    assert_int_equal(scene.wrapped.data_key.length, 0); /* there is a data key already */
    assert_memory_equal(scene.generator.seen.bytes, key_by("given").bytes, 32);
    assert_memory_equal(scene.children[2].seen.bytes, key_by("given").bytes, 32);
    scene_close(&scene);
}

static void without_a_generator_it_only_wraps(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, false);
    assert_int_equal(scene_wrap(&scene), KF_E_KEYS);
    assert_non_null(strstr(scene.error.text, "generator"));
    assert_int_equal(scene.children[0].begun, 0);

    scene.encryption->head.data_key = key_by("given");
    for (size_t i = 0; i < CHILDREN; i++)
        scene.children[i].answered = true;
    assert_int_equal(scene_wrap(&scene), KF_OK);
    check_edks(&scene, (const char *const[]){"a", "b", "c"}, 3);
    scene_close(&scene);
}

static void a_generator_that_fails_ends_it_before_any_child(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, true);
    assert_int_equal(scene_wrap(&scene), KF_PENDING);
    answer(&scene.generator, KF_E_RETRY);
    assert_int_equal(scene_wrap(&scene), KF_E_RETRY);
    assert_string_equal(scene.error.text, "Keyring generator was told to fail.");
    for (size_t i = 0; i < CHILDREN; i++)
        assert_int_equal(scene.children[i].begun, 0);
    scene_close(&scene);
}

static void a_child_that_fails_fails_all_and_cancels_the_others(void **state)
{
    (void)state;
    for (size_t failing = 0; failing < CHILDREN; failing++) {
        struct scene scene;
        scene_open(&scene, true);
        scene.generator.answered = true;
        assert_int_equal(scene_wrap(&scene), KF_PENDING);
        const size_t other = (failing + 1) % CHILDREN;
        answer(&scene.children[other], KF_OK);
        assert_int_equal(scene_wrap(&scene), KF_PENDING);
        answer(&scene.children[failing], KF_E_REMOTE);
        assert_int_equal(scene_wrap(&scene), KF_E_REMOTE);
        assert_non_null(strstr(scene.error.text, scene.children[failing].name));
        assert_int_equal(scene.wrapped.edks.count, 0);
        assert_int_equal(scene.wrapped.data_key.length, 0);
        for (size_t i = 0; i < CHILDREN; i++)
            assert_int_equal(scene.children[i].dropped, 1); /* the third is pending, and cancelled */
        scene_close(&scene);
    }
}

static void who_wraps_nothing_fails_it(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, true);
    scene.generator.answered = scene.generator.silent_key = true;
    assert_int_equal(scene_wrap(&scene), KF_E_KEYS);
    scene.generator.silent_key = false;
    for (size_t i = 0; i < CHILDREN; i++)
        scene.children[i].answered = true;
    scene.children[1].silent_edk = true; /* a message that this keyring could never decrypt */
    assert_int_equal(scene_wrap(&scene), KF_E_KEYS);
    assert_non_null(strstr(scene.error.text, "Keyring 3"));
    scene.children[1].silent_edk = false;
    assert_int_equal(scene_wrap(&scene), KF_OK);
    scene_close(&scene);
}

/* Two data keys in one message would be one too many. */
static void a_child_makes_no_data_key(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, true);
    scene.generator.answered = true;
    for (size_t i = 0; i < CHILDREN; i++)
        scene.children[i].answered = true;
    scene.children[1].own_key = true;
    assert_int_equal(scene_wrap(&scene), KF_E_USAGE);
    scene_close(&scene);
}

static void giving_up_cancels_every_child(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, true);
    scene.generator.answered = true;
    assert_int_equal(scene_wrap(&scene), KF_PENDING);
    kfi_call_end(&scene.call);
    for (size_t i = 0; i < CHILDREN; i++)
        assert_int_equal(scene.children[i].dropped, 1);
    answer(&scene.children[0], KF_OK); /* too late */
    assert_int_equal(scene.bell.rung, 0);
    scene_close(&scene);
}

/* ---- Unwrapping ---- */

static void the_first_that_can_unwraps(void **state)
{
    (void)state;
    struct scene scene;
    scene_open(&scene, true);
    assert_int_equal(scene_unwrap(&scene), KF_PENDING);
    assert_int_equal(scene.children[0].begun, 0); /* one after the other */
    answer(&scene.generator, KF_E_KEYS);
    assert_int_equal(scene_unwrap(&scene), KF_PENDING);
    assert_int_equal(scene.children[0].begun, 1);
    answer(&scene.children[0], KF_E_RETRY);
    assert_int_equal(scene_unwrap(&scene), KF_PENDING);
    answer(&scene.children[1], KF_OK);
    assert_int_equal(scene_unwrap(&scene), KF_OK);
    const struct kf_data_key expected = key_by("b");
    assert_int_equal(scene.unwrapped.length, 32);
    assert_memory_equal(scene.unwrapped.bytes, expected.bytes, 32);
    assert_int_equal(scene.generator.begun, 1); /* none is asked twice */
    assert_int_equal(scene.children[0].begun, 1);
    assert_int_equal(scene.children[2].begun, 0); /* and none for no reason */
    scene_close(&scene);
}

static void when_none_can_all_say_why(void **state)
{
    (void)state;
    /* The code of the whole: keys are missing only if nothing else went wrong. */
    static const enum kf_code codes[3][CHILDREN + 2] = {
        {KF_E_KEYS, KF_E_KEYS, KF_E_KEYS, KF_E_KEYS, KF_E_KEYS},
        {KF_E_KEYS, KF_E_RETRY, KF_E_KEYS, KF_E_REMOTE, KF_E_RETRY},
        {KF_E_REMOTE, KF_E_KEYS, KF_E_KEYS, KF_E_KEYS, KF_E_REMOTE},
    };
    static const uint8_t zeros[KF_DATA_KEY_MAX];
    for (size_t c = 0; c < 3; c++) {
        struct scene scene;
        scene_open(&scene, true);
        answer(&scene.generator, codes[c][0]);
        for (size_t i = 0; i < CHILDREN; i++)
            answer(&scene.children[i], codes[c][i + 1]);
        assert_int_equal(scene_unwrap(&scene), codes[c][CHILDREN + 1]);
        assert_string_equal(scene.error.text, "Keyring 1: Keyring generator was told to fail. "
                                              "Keyring 2: Keyring a was told to fail. "
                                              "Keyring 3: Keyring b was told to fail. "
                                              "Keyring 4: Keyring c was told to fail.");
        assert_int_equal(scene.unwrapped.length, 0);
        assert_memory_equal(scene.unwrapped.bytes, zeros, sizeof zeros);
        scene_close(&scene);
    }
}

static void of_many_sentences_those_left_out_are_counted(void **state)
{
    (void)state;
    struct slow slow = {
        .name = "with a rather long name, so that twenty of them are more than a sentence can hold",
        .answered = true,
        .code = KF_E_KEYS};
    struct kf_keyring *child = slow_keyring(&slow), *children[20], *multi;
    for (size_t i = 0; i < 20; i++)
        children[i] = child;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(NULL, children, 20, &error, &multi), &error);
    kf_keyring_unref(child);
    struct scene scene;
    scene_open(&scene, true);
    kf_keyring_unref(scene.multi);
    scene.multi = multi;
    assert_int_equal(scene_unwrap(&scene), KF_E_KEYS);
    const char *fourth = strstr(scene.error.text, "Keyring 4: "), *end = strstr(scene.error.text, " (and ");
    assert_true(fourth != NULL && end != NULL);
    assert_string_equal(end, " (and 16 more)");
    assert_memory_equal(end - strlen("was told to fail."), "was told to fail.", strlen("was told to fail."));
    assert_null(strstr(scene.error.text, "Keyring 5: "));
    assert_int_equal(slow.begun, 20);
    assert_int_equal(slow.dropped, 20);
    kfi_call_end(&scene.call);
    kf_encryption_materials_unref(scene.encryption);
    kf_decryption_materials_unref(scene.decryption);
    kf_keyring_unref(multi);
    bell_destroy(&scene.bell);
    assert_int_equal(slow.destroyed, 1);
}

/* ---- Within others ---- */

static void multi_keyrings_nest(void **state)
{
    (void)state;
    struct scene inner, outer;
    scene_open(&inner, true);
    struct slow last = {.name = "last"};
    struct kf_keyring *child = slow_keyring(&last), *multi;
    struct kf_error error = KF_ERROR_INIT;
    assert_ok(kf_multi_keyring_new(inner.multi, &child, 1, &error, &multi), &error);
    kf_keyring_unref(child);
    scene_open(&outer, false);
    struct kf_keyring *unused = outer.multi;
    outer.multi = multi;

    assert_int_equal(scene_wrap(&outer), KF_PENDING);
    answer(&inner.generator, KF_OK);
    assert_int_equal(scene_wrap(&outer), KF_PENDING);
    for (size_t i = 0; i < CHILDREN; i++)
        answer(&inner.children[i], KF_OK);
    assert_int_equal(scene_wrap(&outer), KF_PENDING);
    answer(&last, KF_OK);
    bell_wait(&outer.bell);
    assert_int_equal(scene_wrap(&outer), KF_OK);
    check_edks(&outer, (const char *const[]){"generator", "a", "b", "c", "last"}, 5);

    kf_keyring_unref(multi);
    outer.multi = unused;
    scene_close(&outer);
    scene_close(&inner);
}

/* Answers one slow keyring as soon as it was asked. */
static void *answer_from_a_thread(void *context)
{
    struct slow *slow = context;
    pthread_mutex_lock(&lock);
    while (slow->begun == 0)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    answer(slow, KF_OK);
    return NULL;
}

/*
 * All together: a blocking call, children that answer from threads of their own, EDKs in the message in their
 * order.
 */
static void a_message_has_the_edks_in_order(void **state)
{
    (void)state;
    static struct parts parts;
    struct scene scene;
    scene_open(&scene, true);
    struct kf_cmm *cmm = client_cmm_on(kf_keyring_ref(scene.multi));
    pthread_t threads[CHILDREN + 1];
    assert_int_equal(pthread_create(&threads[CHILDREN], NULL, answer_from_a_thread, &scene.generator), 0);
    for (size_t i = 0; i < CHILDREN; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, answer_from_a_thread, &scene.children[i]), 0);
    const struct kf_encrypt_options options =
        client_encrypt_options(KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY, 10, NULL);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(25));
    for (size_t i = 0; i <= CHILDREN; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);

    static const char *const names[] = {"generator", "a", "b", "c"};
    parts_read(buf_view(message), &parts);
    assert_int_equal(parts.edk_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_same_bytes(parts.edks[i].provider_info, kf_view_text(names[i]));
    kf_buf_free(&message);
    kf_cmm_unref(cmm);
    scene_close(&scene);
}

static void usage_is_checked(void **state)
{
    (void)state;
    struct slow slow = {.name = "only"};
    struct kf_keyring *child = slow_keyring(&slow), *children[] = {child, NULL}, *multi = child;
    struct kf_error error = KF_ERROR_INIT;
    assert_int_equal(kf_multi_keyring_new(NULL, NULL, 0, &error, &multi), KF_E_USAGE);
    assert_null(multi);
    assert_int_equal(kf_multi_keyring_new(NULL, children, 2, &error, &multi), KF_E_USAGE);
    static struct kf_keyring *crowd[65536];
    for (size_t i = 0; i < 65536; i++)
        crowd[i] = child;
    assert_int_equal(kf_multi_keyring_new(child, crowd, 65536, &error, &multi), KF_E_USAGE);
    assert_null(multi);
    assert_ok(kf_multi_keyring_new(child, NULL, 0, &error, &multi), &error); /* a generator alone is enough */
    kf_keyring_unref(multi);
    assert_int_equal(slow.destroyed, 0);
    kf_keyring_unref(child);
    assert_int_equal(slow.destroyed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(children_wrap_side_by_side_in_any_order),
        cmocka_unit_test(a_generator_wraps_a_key_that_is_there),
        cmocka_unit_test(without_a_generator_it_only_wraps),
        cmocka_unit_test(a_generator_that_fails_ends_it_before_any_child),
        cmocka_unit_test(a_child_that_fails_fails_all_and_cancels_the_others),
        cmocka_unit_test(who_wraps_nothing_fails_it),
        cmocka_unit_test(a_child_makes_no_data_key),
        cmocka_unit_test(giving_up_cancels_every_child),
        cmocka_unit_test(the_first_that_can_unwraps),
        cmocka_unit_test(when_none_can_all_say_why),
        cmocka_unit_test(of_many_sentences_those_left_out_are_counted),
        cmocka_unit_test(multi_keyrings_nest),
        cmocka_unit_test(a_message_has_the_edks_in_order),
        cmocka_unit_test(usage_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
