/*
 * Text for sentences, in places of fixed size: names and values of others, and lists. What is shown is fit for a
 * terminal, and where something did not fit, a sign says so.
 */
#ifndef KFI_BASE_TEXT_H
#define KFI_BASE_TEXT_H

#include "base/error.h"

#define KFI_SHOWN_MAX 300

/* To be used within one expression: `kfi_shown(name, 100).text`. */
struct kfi_shown {
    char text[KFI_SHOWN_MAX + sizeof KFI_CUT + 2];
};

/*
 * At most `most` bytes (to KFI_SHOWN_MAX) of `text`, and KFI_CUT if there are more. Characters are never cut in
 * two; '?' stands for control characters and for what is not UTF-8.
 */
KFI_SHARED struct kfi_shown kfi_shown(struct kf_view text, size_t most);

/* The same of a C string. */
static inline struct kfi_shown kfi_shown_text(const char *text, size_t most)
{
    return kfi_shown(kf_view_text(text), most);
}

/* A name between quotation marks, of which at most 60 bytes are shown. */
struct kfi_shown kfi_quoted(struct kf_view name);

/*
 * A list that becomes part of a sentence, such as what failed one after another.
 */
#define KFI_LISTING_MAX (sizeof(((struct kf_error *)NULL)->text) - 1)

struct kfi_listing {
    size_t room;
    size_t length;
    bool full;      /* an item was cut, or left out */
    size_t omitted; /* items of which nothing is there */
    char text[KFI_LISTING_MAX + 1];
};

/* Begins a list of at most `room` bytes (to KFI_LISTING_MAX): what the rest of the sentence leaves. */
static inline void kfi_listing_begin(struct kfi_listing *listing, size_t room)
{
    listing->room = room;
    listing->length = listing->omitted = 0;
    listing->full = false;
    listing->text[0] = '\0';
}

/* Adds an item, behind `separator` unless it is the first. One that does not fit is cut, and the next are counted. */
KFI_SHARED void kfi_listing_add(struct kfi_listing *listing, const char *separator, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether nothing was added. */
static inline bool kfi_listing_is_empty(const struct kfi_listing *listing)
{
    return listing->length == 0;
}

/* The text, which ends in " (and 3 more)" if items were left out. To be called once, at the end. */
KFI_SHARED const char *kfi_listing_end(struct kfi_listing *listing);

#endif
