/*
 * Encrypted data keys on the wire and lists that own them.
 */
#include <stdlib.h>

#include "message/edk.h"
#include "support/failing_allocator.h"

static struct kf_edk edk_of(const char *provider_id, const char *provider_info, const char *ciphertext)
{
    return (struct kf_edk){kf_view_text(provider_id), kf_view_text(provider_info), kf_view_text(ciphertext)};
}

static void assert_edk(struct kf_edk edk, const char *provider_id, const char *provider_info,
                       const char *ciphertext)
{
    assert_true(kfi_view_equal(edk.provider_id, kf_view_text(provider_id)));
    assert_true(kfi_view_equal(edk.provider_info, kf_view_text(provider_info)));
    assert_true(kfi_view_equal(edk.ciphertext, kf_view_text(ciphertext)));
}

static const uint8_t wire[] = {
    0x00, 0x02, 'i', 'd',           /* provider id */
    0x00, 0x00,                     /* provider information: none */
    0x00, 0x04, 'd', 'a', 't', 'a', /* ciphertext */
};

static void an_edk_is_three_fields(void **state)
{
    (void)state;
    struct kf_edk edk = edk_of("id", "", "data");
    assert_int_equal(kfi_edk_serialized_length(&edk), sizeof wire);
    uint8_t bytes[sizeof wire];
    struct kfi_writer writer = {bytes, sizeof bytes, false};
    kfi_edk_write(&writer, &edk);
    assert_false(writer.overflow);
    assert_int_equal(writer.room, 0);
    assert_memory_equal(bytes, wire, sizeof wire);

    struct kfi_reader reader = {kf_view_of(wire, sizeof wire), false};
    assert_edk(kfi_edk_read(&reader), "id", "", "data");
    assert_false(reader.short_read);
    assert_int_equal(reader.rest.length, 0);
    for (size_t length = 0; length < sizeof wire; length++) {
        struct kfi_reader cut = {kf_view_of(wire, length), false};
        kfi_edk_read(&cut);
        assert_true(cut.short_read);
    }
}

static void a_list_owns_copies(void **state)
{
    (void)state;
    char text[] = "first";
    struct kfi_edk_list list = {0};
    struct kf_edk edk = {kf_view_text(text), kf_view_text(text), kf_view_text(text)};
    assert_int_equal(kfi_edk_list_add(&list, &edk, NULL), KF_OK);
    memset(text, 'x', 5);
    edk = (struct kf_edk){{NULL, 0}, {NULL, 0}, {NULL, 0}};
    assert_int_equal(kfi_edk_list_add(&list, &edk, NULL), KF_OK);
    edk = edk_of("a", "b", "c");
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(kfi_edk_list_add(&list, &edk, NULL), KF_OK);
    assert_int_equal(list.count, 22);
    assert_edk(list.items[0], "first", "first", "first");
    assert_edk(list.items[1], "", "", "");
    assert_edk(list.items[21], "a", "b", "c");
    kfi_edk_list_free(&list);
    assert_int_equal(list.count, 0);
    assert_null(list.items);
    kfi_edk_list_free(&list);
    assert_int_equal(memory.held, 0);
}

static void parts_have_at_most_65535_bytes(void **state)
{
    (void)state;
    static uint8_t bytes[65536];
    static const char *const names[] = {"provider id", "provider information", "ciphertext"};
    for (size_t part = 0; part < 3; part++) {
        struct kfi_edk_list list = {0};
        struct kf_edk edk = edk_of("i", "n", "c");
        struct kf_view *view = part == 0   ? &edk.provider_id
                               : part == 1 ? &edk.provider_info
                                           : &edk.ciphertext;
        *view = kf_view_of(bytes, 65535);
        assert_int_equal(kfi_edk_list_add(&list, &edk, NULL), KF_OK);
        *view = kf_view_of(bytes, 65536);
        struct kf_error error;
        assert_int_equal(kfi_edk_list_add(&list, &edk, &error), KF_E_USAGE);
        assert_non_null(strstr(error.text, names[part]));
        assert_non_null(strstr(error.text, "65536 bytes"));
        assert_int_equal(list.count, 1);
        kfi_edk_list_free(&list);
    }
    assert_int_equal(memory.held, 0);
}

static void moving_keeps_the_order(void **state)
{
    (void)state;
    struct kfi_edk_list to = {0}, from = {0};
    assert_int_equal(kfi_edk_list_move(&to, &from, NULL), KF_OK);
    assert_int_equal(to.count, 0);
    struct kf_edk one = edk_of("1", "", ""), two = edk_of("2", "", ""), three = edk_of("3", "", "");
    assert_int_equal(kfi_edk_list_add(&from, &one, NULL), KF_OK);
    assert_int_equal(kfi_edk_list_move(&to, &from, NULL), KF_OK);
    assert_int_equal(kfi_edk_list_add(&from, &two, NULL), KF_OK);
    assert_int_equal(kfi_edk_list_add(&from, &three, NULL), KF_OK);
    assert_int_equal(kfi_edk_list_move(&to, &from, NULL), KF_OK);
    assert_int_equal(from.count, 0);
    assert_null(from.items);
    assert_int_equal(to.count, 3);
    assert_edk(to.items[0], "1", "", "");
    assert_edk(to.items[1], "2", "", "");
    assert_edk(to.items[2], "3", "", "");
    /* Any number of them at once. */
    for (size_t more = 1; more <= 20; more++) {
        for (size_t i = 0; i < more; i++)
            assert_int_equal(kfi_edk_list_add(&from, i == 0 ? &one : &two, NULL), KF_OK);
        assert_int_equal(kfi_edk_list_move(&to, &from, NULL), KF_OK);
        assert_edk(to.items[to.count - more], "1", "", "");
        kfi_edk_list_free(&to);
        assert_int_equal(kfi_edk_list_add(&to, &three, NULL), KF_OK);
        assert_int_equal(kfi_edk_list_add(&to, &three, NULL), KF_OK);
    }
    kfi_edk_list_free(&from);
    kfi_edk_list_free(&to);
    assert_int_equal(memory.held, 0);
}

static void a_list_has_at_most_65535_edks(void **state)
{
    (void)state;
    struct kfi_edk_list list = {0}, more = {0};
    struct kf_edk edk = edk_of("", "", "");
    for (size_t i = 0; i < 65534; i++)
        assert_int_equal(kfi_edk_list_add(&list, &edk, NULL), KF_OK);
    assert_int_equal(kfi_edk_list_add(&more, &edk, NULL), KF_OK);
    assert_int_equal(kfi_edk_list_add(&more, &edk, NULL), KF_OK);
    struct kf_error error;
    assert_int_equal(kfi_edk_list_move(&list, &more, &error), KF_E_USAGE);
    assert_non_null(strstr(error.text, "65,535"));
    assert_int_equal(list.count, 65534);
    assert_int_equal(more.count, 2);
    assert_int_equal(kfi_edk_list_add(&list, &edk, NULL), KF_OK);
    assert_int_equal(kfi_edk_list_add(&list, &edk, &error), KF_E_USAGE);
    assert_int_equal(list.count, 65535);
    kfi_edk_list_free(&list);
    kfi_edk_list_free(&more);
    assert_int_equal(memory.held, 0);
}

static void without_memory_lists_stay_as_they_were(void **state)
{
    (void)state;
    struct kfi_edk_list list = {0}, other = {0};
    struct kf_edk edk = edk_of("a", "b", "c");
    for (size_t number = 1; number <= 2; number++) {
        struct kf_error error = KF_ERROR_INIT;
        fail_allocation(number);
        assert_int_equal(kfi_edk_list_add(&list, &edk, &error), KF_E_NO_MEMORY);
        assert_int_equal(error.code, KF_E_NO_MEMORY);
        assert_int_equal(list.count, 0);
    }
    fail_allocation(0);
    assert_int_equal(kfi_edk_list_add(&list, &edk, NULL), KF_OK);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(kfi_edk_list_add(&other, &edk, NULL), KF_OK);
    fail_allocation(1);
    assert_int_equal(kfi_edk_list_move(&list, &other, NULL), KF_E_NO_MEMORY);
    fail_allocation(0);
    assert_int_equal(list.count, 1);
    assert_int_equal(other.count, 3);
    assert_edk(list.items[0], "a", "b", "c");
    assert_edk(other.items[2], "a", "b", "c");
    kfi_edk_list_free(&list);
    kfi_edk_list_free(&other);
    assert_int_equal(memory.held, 0);
}

int main(void)
{
    failing_allocator_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_edk_is_three_fields),
        cmocka_unit_test(a_list_owns_copies),
        cmocka_unit_test(parts_have_at_most_65535_bytes),
        cmocka_unit_test(moving_keeps_the_order),
        cmocka_unit_test(a_list_has_at_most_65535_edks),
        cmocka_unit_test(without_memory_lists_stay_as_they_were),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
