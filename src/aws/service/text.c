/*
 * Text from outside: see text.h. Called wherever in src/aws/ such text is taken in.
 */
#include "aws/service/text.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

const char *kfi_aws_environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* Whether each byte is at least `least`, and ASCII below DEL. */
static bool is_from(struct kf_view text, uint8_t least)
{
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < least || text.data[i] > '~')
            return false;
    }
    return true;
}

bool kfi_text_is_printable(struct kf_view text)
{
    return is_from(text, ' ');
}

bool kfi_text_is_visible(struct kf_view text)
{
    return is_from(text, '!');
}

bool kfi_text_consists_of(struct kf_view text, const char *others)
{
    for (size_t i = 0; i < text.length; i++) {
        const uint8_t c = text.data[i];
        const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!is_plain && (c == '\0' || strchr(others, c) == NULL))
            return false;
    }
    return true;
}

uint32_t kfi_text_number(const char *text, uint32_t most)
{
    const size_t length = strlen(text);
    if (length > 4 || strspn(text, "0123456789") != length)
        return 0;
    const uint32_t number = (uint32_t)strtoul(text, NULL, 10);
    return number <= most ? number : 0;
}

void kfi_text_show(char *to, size_t room, struct kf_view text)
{
    size_t i = 0;
    for (; i < text.length && i + 1 < room; i++) {
        to[i] = (char)text.data[i];
        if (text.data[i] < ' ')
            to[i] = ' ';
        else if (text.data[i] > '~')
            to[i] = '?';
    }
    to[i] = '\0';
    if (i < text.length)
        kfi_text_cut(to, room);
}
