/*
 * What the files of kf-vectors share: the manifest in hand, its memory, what became of a case, and the fields
 * of JSON objects. The vectors are the world's, so that nothing here takes them at their word: what is
 * missing, wrongly written or of another type makes the case fail with a sentence.
 */
#ifndef TESTS_VECTORS_VECTORS_H
#define TESTS_VECTORS_VECTORS_H

#include <keyflight/keyflight.h>

#include "vectors/json.h"

/* ---- Memory: taken piece by piece, freed all at once ---- */

struct arena {
    struct arena_piece *pieces;
};

/* `length` zero bytes, and one more; ends the program if there are none. */
void *arena_take(struct arena *arena, size_t length);
void arena_free(struct arena *arena);

/* ---- What became of a case ---- */

/* Begins as passed; the first failure or skip stays. */
struct verdict {
    enum {
        PASSED,
        FAILED,
        SKIPPED
    } kind;
    char text[700];
};

/* Both answer false, so that a check can say `return fail(verdict, …)`. */
bool fail(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool skip(struct verdict *verdict, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True if `code` is KF_OK, else a failure: "WHAT: KF_E_…: the sentence". */
bool done(enum kf_code code, const struct kf_error *error, const char *what, struct verdict *verdict);

/* True if the bytes are equal, else a failure that says where they differ. */
bool same(struct kf_view got, struct kf_view wanted, const char *what, struct verdict *verdict);

/* Why cases are left out. */
#define NEEDS_AWS "needs AWS"
#define NEEDS_HIERARCHICAL "needs the hierarchical keyring (a later issue)"

/* ---- The manifest in hand ---- */

struct vectors {
    const char *path;   /* of the manifest */
    const char *folder; /* in which it is */
    const struct json *root;
    struct arena arena; /* for whatever lives as long as the manifest */
    unsigned passed, failed, skipped;
    struct reason *reasons; /* of what was skipped, each with its number of cases */
};

/* Counts a case, and prints it if it failed. */
void vectors_count(struct vectors *vectors, struct kf_view name, const struct verdict *verdict);

/* Runs `run` on each item of `list`; their names are their members called `name`, if that is not NULL. */
void vectors_each(struct vectors *vectors, const struct json *list, const char *name,
                  void (*run)(struct vectors *vectors, const struct json *item, struct verdict *verdict));

/*
 * A family of formats: looks whether it knows the manifest by its content, and if so runs all its cases. A
 * manifest that is known and has no case is for the caller to complain of.
 */
typedef bool family(struct vectors *vectors);
family run_entries;   /* entries.c: manifest.json of js-client-node and others */
family run_framework; /* framework.c: awses-decrypt, versions 1 to 5 */
family run_scenarios; /* scenarios.c: mpl-keyring-scenarios */
family run_messages;  /* messages.c: messages with known data keys */
family run_headers;   /* headers.c: header-fixtures, headers-only, a message whose key nobody has */
family run_parts;     /* parts.c: kdf, cache-ids, raw-keyring-edk */

/* ---- Fields ---- */

/* A member of this type; NULL and a failure if there is none. */
const struct json *want(const struct json *object, const char *name, enum json_type type,
                        struct verdict *verdict);

/* Members that are strings: as they are, and read as hexadecimal digits or base64. */
bool want_text(const struct json *object, const char *name, struct verdict *verdict, struct kf_view *out);
bool want_hex(struct vectors *vectors, const struct json *object, const char *name, struct verdict *verdict,
              struct kf_view *out);
bool want_base64(struct vectors *vectors, const struct json *object, const char *name,
                 struct verdict *verdict, struct kf_view *out);
bool unhex(struct vectors *vectors, struct kf_view text,
           struct kf_view *out); /* false: it is not hexadecimal */
bool unbase64(struct vectors *vectors, struct kf_view text, struct kf_view *out);

/* A suite by its number: "0578", "0x0578". */
bool want_suite(const struct json *object, const char *name, struct verdict *verdict,
                const struct kf_suite_info **out);
/* The number itself, which may be of a suite that we don't have. */
bool want_suite_number(const struct json *object, const char *name, struct verdict *verdict, unsigned *out);

/*
 * The content of the file that a string names: a path from the manifest's folder, also as "file://PATH".
 */
bool want_file(struct vectors *vectors, const struct json *object, const char *name, struct verdict *verdict,
               struct kf_view *out);
bool file_read(struct arena *arena, const char *path, struct kf_view *out); /* false: errno says why */

/* The JSON file that this text names, likewise. */
const struct json *want_json(struct vectors *vectors, struct kf_view uri, struct verdict *verdict);

/* An object of strings as an encryption context; NULL or absent is empty. The caller unrefs it. */
bool context_of(const struct json *object, struct verdict *verdict, const struct kf_encryption_context **out);
/* The same from hexadecimal digits. */
bool context_of_hex(struct vectors *vectors, const struct json *object, struct verdict *verdict,
                    const struct kf_encryption_context **out);

/* True if every pair of `object` (which may be NULL) is in the context, else a failure. */
bool has_pairs(const struct json *object, const struct kf_encryption_context *context,
               struct verdict *verdict);

#endif
