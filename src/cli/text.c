/* Telling text from other bytes: see text.h. Never changes what it reads. */
#include "text.h"

#include <string.h>

/* How many bytes a character has that begins with this one; 0 if none begins so. */
static size_t char_length(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xc2 || lead > 0xf4)
        return 0;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

size_t cli_text_char(struct kf_view text, uint32_t *character)
{
    size_t length = text.length == 0 ? 0 : char_length(text.data[0]);
    if (length == 0 || length > text.length)
        return 0;
    uint32_t lead = text.data[0];
    uint32_t value = length == 1 ? lead : lead & (0x7fU >> length);
    for (size_t i = 1; i < length; i++) {
        if ((text.data[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (text.data[i] & 0x3fU);
    }
    /* A character that fits into fewer bytes, or is a surrogate, is not well-formed. */
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (value < least[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *character = value;
    return length;
}

bool cli_text_is_control(uint32_t character)
{
    return character < 0x20 || (character >= 0x7f && character < 0xa0);
}

/* Whether it is UTF-8 without control characters other than those of `allowed`. */
static bool is_plain(struct kf_view text, const char *allowed)
{
    for (size_t done = 0, length; done < text.length; done += length) {
        uint32_t character;
        length = cli_text_char(kf_view_of(text.data + done, text.length - done), &character);
        if (length == 0)
            return false;
        if (cli_text_is_control(character) && (character == 0 || strchr(allowed, (int)character) == NULL))
            return false;
    }
    return true;
}

bool cli_text_is_harmless(struct kf_view text)
{
    return is_plain(text, "\t\n\r");
}

bool cli_text_is_printable(struct kf_view text)
{
    return is_plain(text, "");
}

void cli_text_print(FILE *out, struct kf_view text)
{
    for (size_t done = 0, length; done < text.length; done += length) {
        uint32_t character;
        length = cli_text_char(kf_view_of(text.data + done, text.length - done), &character);
        if (length == 0 || cli_text_is_control(character)) {
            length = length == 0 ? 1 : length;
            putc('?', out);
        } else {
            fwrite(text.data + done, 1, length, out);
        }
    }
}
