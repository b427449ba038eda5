/*
 * A data key is there as long as somebody holds it, the cache or a caller, and is wiped at the last release. The program
 * brings an allocator that knows every piece of memory that the library has, and looks at what it gets back.
 */
#include "support/asker.h"

#include <stdlib.h>
#include <string.h>

#include "base/list.h"

#define KEY_LENGTH 32

struct piece {
    struct kfi_link link; /* among those that the library has */
    size_t length;
    max_align_t memory[];
};

static struct {
    pthread_mutex_t lock; /* guards what follows */
    struct kfi_list held;
    uint8_t key[KEY_LENGTH]; /* what is looked for */
    bool looks;
    unsigned unwiped; /* pieces that came back with the key in them */
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER, .held = {{&heap.held.ring, &heap.held.ring}}};

static bool has_key(const struct piece *piece)
{
    return heap.looks && memmem(piece->memory, piece->length, heap.key, KEY_LENGTH) != NULL;
}

static void *allocate(void *context, size_t length)
{
    (void)context;
    struct piece *piece = calloc(1, sizeof *piece + length);
    if (piece == NULL)
        return NULL;
    piece->length = length;
    pthread_mutex_lock(&heap.lock);
    kfi_list_push_back(&heap.held, &piece->link);
    pthread_mutex_unlock(&heap.lock);
    return piece->memory;
}

static void release(void *context, void *memory)
{
    (void)context;
    struct piece *piece = (struct piece *)((char *)memory - offsetof(struct piece, memory));
    pthread_mutex_lock(&heap.lock);
    kfi_unlink(&piece->link);
    heap.unwiped += has_key(piece);
    pthread_mutex_unlock(&heap.lock);
    free(piece);
}

/* From now on this key is looked for. */
static void look_for(struct kf_view key)
{
    assert_int_equal(key.length, KEY_LENGTH);
    memcpy(heap.key, key.data, KEY_LENGTH);
    heap.looks = true;
    heap.unwiped = 0;
}

/* Whether the library still has the key. It gave no memory back with the key in it. */
static bool is_held(void)
{
    bool found = false;
    pthread_mutex_lock(&heap.lock);
    for (struct kfi_link *link = kfi_list_first(&heap.held); link != NULL;
         link = kfi_list_next(&heap.held, link))
        found = found || has_key(KFI_CONTAINER(link, struct piece, link));
    pthread_mutex_unlock(&heap.lock);
    assert_int_equal(heap.unwiped, 0);
    return found;
}

static void open_scene(struct scene *scene)
{
    const struct kf_caching_cmm_options options = caching_options(3, KF_MAX_BYTES_LIMIT);
    scene_open(scene, 10, &options);
    told_answer_always(scene->told, true);
    heap.looks = false;
}

static void a_key_is_wiped_when_the_last_holder_lets_go(void **state)
{
    (void)state;
    struct scene scene;
    struct asker first = {.cmm = NULL}, second = {.cmm = NULL};
    open_scene(&scene);
    assert_int_equal(asker_ask(&first, scene.cmm, 10), KF_OK);
    look_for(asker_key(&first));
    assert_int_equal(asker_ask(&second, scene.cmm, 10), KF_OK);
    assert_true(askers_share_key(&first, &second));
    asker_leave(&first);
    assert_true(is_held());
    kf_cache_clear(scene.cache);
    assert_true(is_held());
    asker_leave(&second);
    assert_false(is_held());
    scene_close(&scene);
}

static void a_key_that_is_used_up_is_wiped_without_a_clearing(void **state)
{
    (void)state;
    struct scene scene;
    struct asker askers[3] = {{.cmm = NULL}};
    open_scene(&scene);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(asker_ask(&askers[i], scene.cmm, 10), KF_OK);
    look_for(asker_key(&askers[0]));
    assert_true(is_held());
    askers_leave(askers, 3);
    assert_false(is_held());
    scene_close(&scene);
}

static void a_key_for_reading_is_wiped_too(void **state)
{
    (void)state;
    struct scene scene;
    struct asker writer = {.cmm = NULL}, reader = {.cmm = NULL};
    open_scene(&scene);
    assert_int_equal(asker_ask(&writer, scene.cmm, 10), KF_OK);
    look_for(asker_key(&writer));
    const struct kf_edk edk = kf_encryption_materials_edk(writer.encryption_materials, 0);
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    assert_int_equal(asker_decrypt(&reader, scene.cmm, &request), KF_OK);
    asker_leave(&writer);
    asker_leave(&reader);
    assert_true(is_held()); /* by the cache */
    kf_cache_clear(scene.cache);
    assert_false(is_held());
    scene_close(&scene);
}

int main(void)
{
    const struct kf_allocator allocator = {sizeof allocator, NULL, allocate, release};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_wiped_when_the_last_holder_lets_go),
        cmocka_unit_test(a_key_that_is_used_up_is_wiped_without_a_clearing),
        cmocka_unit_test(a_key_for_reading_is_wiped_too),
    };
    if (kf_allocator_set(&allocator) != KF_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
