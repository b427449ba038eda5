/*
 * Text for sentences: see text.h. Called where an error's sentence names something that others chose. Never
 * allocates.
 */
#include "base/text.h"

#include <stdio.h>

#include "base/bytes.h"

/* ---- Names ---- */

/* Control characters: C0, DEL, and C1, whose two bytes begin with 0xc2. */
static bool is_control(const uint8_t *character, size_t length)
{
    return length == 1 ? character[0] < 0x20 || character[0] == 0x7f
                       : length == 2 && character[0] == 0xc2 && character[1] < 0xa0;
}

static void show(struct kfi_writer *writer, struct kf_view text, size_t most)
{
    for (size_t i = 0, used = 0; i < text.length;) {
        const size_t length = kfi_utf8_length(text.data + i, text.length - i);
        const bool harmless = length > 0 && !is_control(text.data + i, length);
        const struct kf_view part = harmless ? kf_view_of(text.data + i, length) : kf_view_text("?");
        if (part.length > most - used) {
            kfi_write_bytes(writer, kf_view_text(KFI_CUT));
            return;
        }
        kfi_write_bytes(writer, part);
        used += part.length;
        i += length > 0 ? length : 1;
    }
}

struct kfi_shown kfi_shown(struct kf_view text, size_t most)
{
    struct kfi_shown shown;
    struct kfi_writer writer = {(uint8_t *)shown.text, sizeof shown.text, false};
    show(&writer, text, most < KFI_SHOWN_MAX ? most : KFI_SHOWN_MAX);
    kfi_write_u8(&writer, 0);
    return shown;
}

struct kfi_shown kfi_quoted(struct kf_view name)
{
    struct kfi_shown quoted;
    struct kfi_writer writer = {(uint8_t *)quoted.text, sizeof quoted.text, false};
    kfi_write_u8(&writer, '"');
    show(&writer, name, 60);
    kfi_write_bytes(&writer, kf_view_of("\"", 2)); /* with its NUL */
    return quoted;
}

/* ---- Lists ---- */

/* Is kept for the end, but from the first item, which may be the only one. */
#define END_ROOM 24
/* Less of an item than this says nothing. */
#define PART_LEAST 40

void kfi_listing_add(struct kfi_listing *listing, const char *separator, const char *format, ...)
{
    char item[2 * sizeof listing->text];
    va_list arguments;
    va_start(arguments, format);
    kfi_text_print(item, sizeof item, format, arguments);
    va_end(arguments);
    if (listing->length == 0)
        separator = "";
    const size_t used = listing->length + strlen(separator);
    const size_t room = listing->length == 0 ? listing->room : listing->room - END_ROOM;
    const bool fits = used + strlen(item) <= room;
    if (listing->full || (!fits && used + PART_LEAST > room)) {
        listing->full = true;
        listing->omitted++;
        return;
    }
    if (!fits)
        kfi_text_cut(item, room - used + 1);
    listing->full = !fits;
    memcpy(listing->text + listing->length, separator, strlen(separator));
    memcpy(listing->text + used, item, strlen(item) + 1);
    listing->length = used + strlen(item);
}

const char *kfi_listing_end(struct kfi_listing *listing)
{
    char end[END_ROOM];
    if (listing->omitted == 0)
        return listing->text;
    const size_t length = (size_t)snprintf(end, sizeof end, " (and %zu more)", listing->omitted);
    if (listing->length + length > listing->room) {
        kfi_text_cut(listing->text, listing->room - length + 1);
        listing->length = strlen(listing->text);
    }
    memcpy(listing->text + listing->length, end, length + 1);
    return listing->text;
}
