/*
 * Settle: a stream that reserved a bound gives back what it did not use, once, when its message is whole; never
 * its message.
 */
#include "support/asker.h"

static struct asker askers[8];

static struct kf_caching_cmm_options settling(uint64_t max_messages, uint64_t max_bytes)
{
    struct kf_caching_cmm_options options = caching_options(max_messages, max_bytes);
    options.settle = true;
    return options;
}

static void nothing(void *context)
{
    (void)context;
}

static struct kf_encryptor *stream_new(struct kf_cmm *cmm, uint64_t bound)
{
    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_encryptor *stream;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    options.plaintext_bound = bound;
    assert_ok(kf_encryptor_new(cmm, &options, &error, &stream), &error);
    return stream;
}

static enum kf_code stream_write(struct kf_encryptor *stream, size_t length, bool end)
{
    static const uint8_t plaintext[1000];
    static uint8_t out[2000];
    const struct kf_waker waker = {nothing, NULL};
    struct kf_io io = {
        .in = plaintext, .in_length = length, .in_end = end, .out = out, .out_room = sizeof out};
    return kf_encryptor_poll(stream, &io, &waker);
}

/* One whole message, through a bound. */
static void message(struct kf_cmm *cmm, uint64_t bound, size_t length)
{
    struct kf_encryptor *stream = stream_new(cmm, bound);
    assert_int_equal(stream_write(stream, length, true), KF_OK);
    kf_encryptor_free(stream);
}

/* Whether a message of so many bytes finds the key that is there; what is begun instead fails. */
static bool hits(struct scene *scene, uint64_t length)
{
    struct asker asker;
    told_answer_always(scene->told, false);
    const bool hit = asker_ask(&asker, scene->cmm, length) == KF_OK;
    asker_leave(&asker);
    scene_land_all(scene, KF_E_RETRY);
    told_answer_always(scene->told, true);
    return hit;
}

static void open_scene(struct scene *scene, const struct kf_caching_cmm_options *options)
{
    scene_open(scene, 10, options);
    told_answer_always(scene->told, true);
}

static void unused_bytes_come_back_when_the_message_is_whole(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = settling(100, 1000);
    struct scene scene;
    open_scene(&scene, &options);
    struct kf_encryptor *stream = stream_new(scene.cmm, 900);
    assert_int_equal(stream_write(stream, 50, false), KF_WANT_INPUT);
    assert_false(hits(&scene, 101));
    assert_int_equal(stream_write(stream, 50, true), KF_OK); /* 100 of 900 used */
    assert_false(hits(&scene, 901));
    assert_int_equal(scene_stats(&scene).settled_bytes, 800);
    assert_true(hits(&scene, 900));
    assert_false(hits(&scene, 1)); /* all of it is charged now */
    assert_true(hits(&scene, 0));
    kf_encryptor_free(stream);
    assert_false(hits(&scene, 1)); /* nothing came twice */
    assert_int_equal(scene_stats(&scene).settled_bytes, 800);
    scene_close(&scene);
}

static void messages_never_come_back(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = settling(3, 1000);
    struct scene scene;
    open_scene(&scene, &options);
    for (int i = 0; i < 3; i++)
        message(scene.cmm, 900, 0);
    assert_int_equal(scene_stats(&scene).flights_opened, 1);
    assert_int_equal(scene_stats(&scene).ended_messages, 1);
    message(scene.cmm, 900, 0);
    assert_int_equal(scene_stats(&scene).flights_opened, 2);
    scene_close(&scene);
}

static void who_does_not_finish_gives_nothing_back(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = settling(100, 1000);
    struct scene scene;
    open_scene(&scene, &options);
    struct kf_encryptor *stream = stream_new(scene.cmm, 900);
    assert_int_equal(stream_write(stream, 50, false), KF_WANT_INPUT);
    kf_encryptor_free(stream);
    assert_false(hits(&scene, 101));

    /* More than the bound is an error, and no end. */
    kf_cache_clear(scene.cache);
    stream = stream_new(scene.cmm, 100);
    assert_int_equal(stream_write(stream, 101, true), KF_E_LIMIT);
    kf_encryptor_free(stream);
    assert_false(hits(&scene, 901));
    assert_true(hits(&scene, 900));
    assert_int_equal(scene_stats(&scene).settled_bytes, 0);
    scene_close(&scene);
}

static void off_it_stays_charged(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = caching_options(100, 1000);
    struct scene scene;
    open_scene(&scene, &options);
    message(scene.cmm, 900, 10);
    assert_false(hits(&scene, 101));
    assert_true(hits(&scene, 100));
    scene_close(&scene);
}

static void after_the_key_ended_it_does_no_harm(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = settling(100, 1000);
    struct scene scene;
    open_scene(&scene, &options);
    struct kf_encryptor *stream = stream_new(scene.cmm, 900);
    assert_int_equal(stream_write(stream, 1, false), KF_WANT_INPUT);
    kf_cache_clear(scene.cache);
    message(scene.cmm, 1000, 1000); /* another key, all of it used */
    assert_int_equal(stream_write(stream, 1, true), KF_OK);
    kf_encryptor_free(stream);
    assert_false(hits(&scene, 1));

    scene_close(&scene);
}

static void what_comes_back_counts_when_two_keys_compare(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = settling(100, 1000);
    struct scene scene;
    open_scene(&scene, &options);
    struct kf_encryptor *first = stream_new(scene.cmm, 900);
    assert_int_equal(stream_write(first, 1, false), KF_WANT_INPUT);
    told_answer_always(scene.told, false);
    assert_int_equal(asker_ask(&askers[0], scene.cmm, 500), KF_PENDING);
    assert_int_equal(stream_write(first, 0, true), KF_OK); /* the first key has 999 left again */
    scene_land_all(&scene, KF_OK);
    assert_int_equal(asker_wait(&askers[0]), KF_OK);
    told_answer_always(scene.told, true);
    assert_true(hits(&scene, 999));
    kf_encryptor_free(first);
    asker_leave(&askers[0]);
    scene_close(&scene);
}

struct inherited {
    struct kf_encryptor *stream;
    struct scene *scene;
};

static bool child_finishes(void *context)
{
    struct inherited *inherited = context;
    const enum kf_code code = stream_write(inherited->stream, 0, true);
    kf_encryptor_free(inherited->stream);
    struct kf_buf out = KF_BUF_INIT;
    const enum kf_code own = kf_encrypt(inherited->scene->cmm, NULL, kf_view_text("x"), NULL, &out);
    kf_buf_free(&out);
    return code == KF_E_FORKED && own == KF_OK && scene_stats(inherited->scene).settled_bytes == 0;
}

static void a_child_gives_nothing_back(void **state)
{
    (void)state;
    const struct kf_caching_cmm_options options = settling(100, 1000);
    struct scene scene;
    open_scene(&scene, &options);
    struct kf_encryptor *stream = stream_new(scene.cmm, 900);
    assert_int_equal(stream_write(stream, 1, false), KF_WANT_INPUT);
    struct inherited inherited = {stream, &scene};
    assert_true(support_in_child(child_finishes, &inherited));
    assert_false(hits(&scene, 101));
    assert_int_equal(stream_write(stream, 0, true), KF_OK);
    assert_true(hits(&scene, 999));
    kf_encryptor_free(stream);
    scene_close(&scene);
}

/* ---- Many at once ---- */

#define THREADS 16
#define ROUNDS 200
#define BOUND 1000
#define USED 7

static void *many_messages(void *context)
{
    for (int i = 0; i < ROUNDS; i++) {
        static const uint8_t plaintext[USED];
        uint8_t out[1000];
        struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
        struct kf_encryptor *stream;
        options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        options.plaintext_bound = BOUND;
        if (kf_encryptor_new(context, &options, NULL, &stream) != KF_OK)
            return NULL;
        struct kf_io io = {
            .in = plaintext, .in_length = USED, .in_end = true, .out = out, .out_room = sizeof out};
        if (kf_encryptor_poll(stream, &io, NULL) != KF_OK)
            return NULL;
        kf_encryptor_free(stream);
    }
    return context;
}

static void it_is_exact_with_many_threads(void **state)
{
    (void)state;
    /* Room for all of them at once, so that no second key is ever needed. */
    const uint64_t all = THREADS * ROUNDS * USED, max_bytes = all + THREADS * BOUND;
    const struct kf_caching_cmm_options options = settling(1000000, max_bytes);
    struct scene scene;
    open_scene(&scene, &options);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, many_messages, scene.cmm), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        assert_ptr_equal(answer, scene.cmm);
    }
    assert_int_equal(scene_stats(&scene).flights_opened, 1);
    assert_false(hits(&scene, max_bytes - all + 1));
    assert_true(hits(&scene, max_bytes - all));
    assert_int_equal(scene_stats(&scene).settled_bytes, (uint64_t)THREADS * ROUNDS * (BOUND - USED));
    scene_close(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unused_bytes_come_back_when_the_message_is_whole),
        cmocka_unit_test(messages_never_come_back),
        cmocka_unit_test(who_does_not_finish_gives_nothing_back),
        cmocka_unit_test(off_it_stays_charged),
        cmocka_unit_test(after_the_key_ended_it_does_no_harm),
        cmocka_unit_test(what_comes_back_counts_when_two_keys_compare),
        cmocka_unit_test(a_child_gives_nothing_back),
        cmocka_unit_test(it_is_exact_with_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
