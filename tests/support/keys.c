/*
 * Keys for tests: see keys.h.
 */
#include "support/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILES_MAX 128

struct kf_view key_file(const char *name)
{
    static struct {
        char name[64];
        uint8_t bytes[8192];
        size_t length;
    } files[FILES_MAX];
    size_t i = 0;
    while (i < FILES_MAX && files[i].name[0] != '\0' && strcmp(files[i].name, name) != 0)
        i++;
    assert_true(i < FILES_MAX);
    if (files[i].name[0] == '\0') {
        char path[4096];
        const char *source = getenv("KEYFLIGHT_SOURCE");
        assert_non_null(source); /* ctest sets it */
        snprintf(path, sizeof path, "%s/tests/corpus/keys/%s", source, name);
        FILE *stream = fopen(path, "rb");
        if (stream == NULL)
            fail_msg("there is no %s", path);
        files[i].length = fread(files[i].bytes, 1, sizeof files[i].bytes, stream);
        fclose(stream);
        assert_in_range(files[i].length, 1, sizeof files[i].bytes - 1);
        snprintf(files[i].name, sizeof files[i].name, "%s", name);
    }
    return kf_view_of(files[i].bytes, files[i].length);
}

static bool ask(void *context, char *out, size_t room, size_t *length)
{
    struct passphrase *passphrase = context;
    passphrase->asked++;
    if (passphrase->text == NULL)
        return false;
    *length = strlen(passphrase->text);
    assert_in_range(*length, 0, room);
    memcpy(out, passphrase->text, *length);
    return true;
}

struct kf_passphrase passphrase_source(struct passphrase *passphrase)
{
    return (struct kf_passphrase){ask, passphrase};
}
