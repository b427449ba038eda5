/*
 * JSON as a tree: see json.h. Reading is yajl's; its own tree forgets the lengths of strings.
 */
#include "vectors/json.h"

#include <stdio.h>
#include <string.h>
#include <yajl/yajl_parse.h>

#include "vectors/vectors.h"

#define DEPTH_MAX 32

struct builder {
    struct arena *arena;
    struct json *root;
    struct json *open[DEPTH_MAX]; /* objects and arrays that have begun */
    struct json *last[DEPTH_MAX]; /* the newest part of each, or NULL */
    size_t depth;
    struct kf_view name; /* of the member that comes next */
};

static struct kf_view keep(struct builder *builder, const unsigned char *text, size_t length)
{
    uint8_t *copy = arena_take(builder->arena, length);
    memcpy(copy, text, length);
    return kf_view_of(copy, length);
}

static struct json *add(struct builder *builder, enum json_type type)
{
    struct json *json = arena_take(builder->arena, sizeof *json);
    json->type = type;
    if (builder->depth == 0) {
        builder->root = json;
        return json;
    }
    struct json *parent = builder->open[builder->depth - 1], **last = &builder->last[builder->depth - 1];
    if (parent->type == JSON_OBJECT)
        json->name = builder->name;
    if (*last == NULL)
        parent->first = json;
    else
        (*last)->next = json;
    *last = json;
    parent->count++;
    return json;
}

static int on_null(void *context)
{
    add(context, JSON_NULL);
    return 1;
}

static int on_boolean(void *context, int value)
{
    add(context, JSON_BOOLEAN)->number = value;
    return 1;
}

static int on_integer(void *context, long long value)
{
    add(context, JSON_NUMBER)->number = value;
    return 1;
}

static int on_double(void *context, double value)
{
    (void)value; /* no format has any */
    add(context, JSON_NUMBER);
    return 1;
}

static int on_string(void *context, const unsigned char *text, size_t length)
{
    struct builder *builder = context;
    struct json *json = add(builder, JSON_STRING);
    json->text = keep(builder, text, length);
    return 1;
}

static int on_name(void *context, const unsigned char *text, size_t length)
{
    struct builder *builder = context;
    builder->name = keep(builder, text, length);
    return 1;
}

static int begin(struct builder *builder, enum json_type type)
{
    if (builder->depth == DEPTH_MAX)
        return 0;
    struct json *json = add(builder, type);
    builder->last[builder->depth] = NULL;
    builder->open[builder->depth++] = json;
    return 1;
}

static int on_object(void *context)
{
    return begin(context, JSON_OBJECT);
}

static int on_array(void *context)
{
    return begin(context, JSON_ARRAY);
}

static int on_end(void *context)
{
    struct builder *builder = context;
    builder->depth--;
    return 1;
}

const struct json *json_read(struct arena *arena, struct kf_view text, char *why, size_t room)
{
    static const yajl_callbacks callbacks = {
        .yajl_null = on_null,
        .yajl_boolean = on_boolean,
        .yajl_integer = on_integer,
        .yajl_double = on_double,
        .yajl_string = on_string,
        .yajl_start_map = on_object,
        .yajl_map_key = on_name,
        .yajl_end_map = on_end,
        .yajl_start_array = on_array,
        .yajl_end_array = on_end,
    };
    struct builder builder = {.arena = arena};
    yajl_handle parser = yajl_alloc(&callbacks, NULL, &builder);
    if (parser == NULL) {
        snprintf(why, room, "there is no memory");
        return NULL;
    }
    yajl_status status = yajl_parse(parser, text.data, text.length);
    if (status == yajl_status_ok)
        status = yajl_complete_parse(parser);
    if (status == yajl_status_client_canceled)
        snprintf(why, room, "it is nested too deeply");
    if (status == yajl_status_error) {
        unsigned char *sentence = yajl_get_error(parser, 0, NULL, 0);
        snprintf(why, room, "%s", (const char *)sentence);
        why[strcspn(why, "\n")] = '\0';
        yajl_free_error(parser, sentence);
    }
    yajl_free(parser);
    return status == yajl_status_ok ? builder.root : NULL;
}

static bool is_text(struct kf_view view, const char *text)
{
    return view.length == strlen(text) && memcmp(view.data, text, view.length) == 0;
}

const struct json *json_get(const struct json *object, const char *name)
{
    if (object == NULL || object->type != JSON_OBJECT)
        return NULL;
    JSON_EACH(member, object)
    {
        if (is_text(member->name, name))
            return member->type == JSON_NULL ? NULL : member;
    }
    return NULL;
}

const struct json *json_get_as(const struct json *object, const char *name, enum json_type type)
{
    const struct json *member = json_get(object, name);
    return member != NULL && member->type == type ? member : NULL;
}

bool json_is(const struct json *object, const char *name, const char *text)
{
    const struct json *member = json_get_as(object, name, JSON_STRING);
    return member != NULL && is_text(member->text, text);
}
