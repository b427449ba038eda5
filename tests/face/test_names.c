/*
 * Every enumerator of the public headers has a name. The list of them, enumerators.h, is made from the headers
 * by scripts/list-enumerators, so that what is added there without a name fails here.
 */
#include "support/support.h"

#include <keyflight/aws.h>
#include <string.h>

/* No enumerator of ours. */
#define NONE 54321

static void every_enumerator_has_its_name(void **state)
{
    (void)state;
    const struct {
        const char *identifier, *expected, *name;
    } rows[] = {
#define ENUM(type)
#define ENUMERATOR(type, identifier, expected) {#identifier, expected, type##_name(identifier)},
#include "enumerators.h"
#undef ENUM
#undef ENUMERATOR
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (strcmp(rows[i].name, rows[i].expected) != 0)
            fail_msg("%s is called \"%s\", not \"%s\"", rows[i].identifier, rows[i].name, rows[i].expected);
    }
    assert_true(sizeof rows / sizeof rows[0] > 50);
}

static void a_number_that_is_none_is_unknown(void **state)
{
    (void)state;
    const struct {
        const char *type, *name;
    } rows[] = {
#define ENUM(type) {#type, type##_name((enum type)NONE)},
#define ENUMERATOR(type, identifier, expected)
#include "enumerators.h"
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_string_equal(rows[i].name, strcmp(rows[i].type, "kf_code") == 0 ? "KF_E_BUG" : "unknown");
    assert_true(sizeof rows / sizeof rows[0] > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_enumerator_has_its_name),
        cmocka_unit_test(a_number_that_is_none_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
