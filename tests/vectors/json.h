/*
 * JSON as a tree of what was read, with lengths, for texts may hold NUL.
 */
#ifndef TESTS_VECTORS_JSON_H
#define TESTS_VECTORS_JSON_H

#include <keyflight/types.h>

struct arena;

enum json_type {
    JSON_NULL,
    JSON_BOOLEAN,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT
};

struct json {
    enum json_type type;
    struct kf_view name; /* in an object */
    struct kf_view text; /* of a string; a NUL stands behind it */
    long long number;    /* also of a boolean: 0 or 1 */
    size_t count;        /* of members or items */
    struct json *first;  /* of them */
    struct json *next;   /* beside it */
};

/* The tree, which belongs to the arena, or NULL and a phrase that says what is wrong. */
const struct json *json_read(struct arena *arena, struct kf_view text, char *why, size_t room);

/* The member of this name; NULL if there is none or it is null. `object` may be NULL or anything. */
const struct json *json_get(const struct json *object, const char *name);
/* The same, if it is of this type. */
const struct json *json_get_as(const struct json *object, const char *name, enum json_type type);
/* Whether it is there and this string. */
bool json_is(const struct json *object, const char *name, const char *text);

/* For each member of an object or item of an array; `list` may be NULL. */
#define JSON_EACH(item, list)                                                             \
    for (const struct json *item = (list) == NULL ? NULL : (list)->first; (item) != NULL; \
         (item) = (item)->next)

#endif
