/*
 * An environment for the tests of settings and credentials: no variable of AWS, an empty home directory of its own,
 * and no metadata service.
 */
#ifndef TESTS_AWS_ENVIRONMENT_H
#define TESTS_AWS_ENVIRONMENT_H

#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

static char environment_home[64];

/* The path of a file in the home directory. It is overwritten by the fourth call after this one. */
static inline const char *environment_path(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", environment_home, name);
    return path;
}

static inline const char *environment_write_bytes(const char *name, const void *bytes, size_t length)
{
    const char *path = environment_path(name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
    return path;
}

static inline const char *environment_write(const char *name, const char *text)
{
    return environment_write_bytes(name, text, strlen(text));
}

static inline void environment_config(const char *text)
{
    environment_write(".aws/config", text);
}

static inline void environment_credentials(const char *text)
{
    environment_write(".aws/credentials", text);
}

static inline void environment_set(const char *name, const char *value)
{
    assert_int_equal(value != NULL ? setenv(name, value, 1) : unsetenv(name), 0);
}

/* The setup of each test. */
static inline int environment_setup(void **state)
{
    (void)state;
    for (char **entry = environ; *entry != NULL;) {
        char name[128];
        size_t length = strcspn(*entry, "=");
        snprintf(name, sizeof name, "%.*s", (int)length, *entry);
        if (strncmp(name, "AWS_", 4) == 0 && unsetenv(name) == 0)
            entry = environ; /* the list has moved */
        else
            entry++;
    }
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    snprintf(environment_home, sizeof environment_home, "aws-home-XXXXXX");
    if (mkdtemp(environment_home) == NULL || mkdir(environment_path(".aws"), 0700) != 0)
        return -1;
    return setenv("HOME", environment_home, 1);
}

static inline int environment_teardown(void **state)
{
    (void)state;
    static const char *const names[] = {".aws/config", ".aws/credentials", "one", "two"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlink(environment_path(names[i]));
    rmdir(environment_path(".aws"));
    return rmdir(environment_home);
}

#define environment_test(test) cmocka_unit_test_setup_teardown(test, environment_setup, environment_teardown)

#endif
