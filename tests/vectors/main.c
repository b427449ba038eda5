/*
 * kf-vectors DIR: runs the vectors of other implementations that it finds in and below a directory.
 *
 * Every *.json there is looked at, in the order of the names, and known by its content. Each manifest gets a
 * line with its counts, each failure a line with its reason, each reason to leave cases out a line with their
 * number; the last line is "N passed, N failed, N skipped". The exit status is 0 if nothing failed, 1 if
 * something did, 2 if there is nothing to run. Never writes a file.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vectors/vectors.h"

#define PATH_ROOM 4096

static family *const families[] = {run_entries,  run_framework, run_scenarios,
                                   run_messages, run_headers,   run_parts};

struct totals {
    unsigned manifests, passed, failed, skipped;
};

/* Keys that manifests refer to: nothing to run, and nothing to complain of. */
static bool is_keys(const struct json *root)
{
    if (json_is(json_get(root, "manifest"), "type", "keys"))
        return true;
    if (root->type != JSON_OBJECT || root->count == 0)
        return false;
    JSON_EACH(key, root)
    {
        if (json_get_as(key, "type", JSON_STRING) == NULL)
            return false;
    }
    return true;
}

static void run_manifest(struct vectors *vectors)
{
    const struct kf_view whole = kf_view_text("the manifest");
    struct verdict verdict = {.kind = PASSED};
    struct kf_view text;
    char why[300];
    if (!file_read(&vectors->arena, vectors->path, &text)) {
        fail(&verdict, "%s", strerror(errno));
    } else if ((vectors->root = json_read(&vectors->arena, text, why, sizeof why)) == NULL) {
        fail(&verdict, "it is not JSON: %s", why);
    } else if (!is_keys(vectors->root)) {
        size_t i = 0;
        while (i < sizeof families / sizeof families[0] && !families[i](vectors))
            i++;
        if (i == sizeof families / sizeof families[0])
            skip(&verdict, "no format of ours");
        else if (vectors->passed + vectors->failed + vectors->skipped == 0)
            fail(&verdict, "it has no cases");
    }
    if (verdict.kind != PASSED)
        vectors_count(vectors, whole, &verdict);
}

static void finish_manifest(struct vectors *vectors, struct totals *totals);

static void visit_file(const char *folder, const char *path, struct totals *totals)
{
    struct vectors vectors = {.path = path, .folder = folder};
    run_manifest(&vectors);
    finish_manifest(&vectors, totals);
    arena_free(&vectors.arena);
}

static bool has_ending(const char *name, const char *ending)
{
    const size_t length = strlen(name), end = strlen(ending);
    return length > end && strcmp(name + length - end, ending) == 0;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* False, and a line on stderr, if a directory can't be read. */
static bool visit_folder(const char *folder, struct totals *totals)
{
    struct dirent **entries;
    bool good = true;
    const int count = scandir(folder, &entries, visible, alphasort);
    if (count < 0)
        fprintf(stderr, "kf-vectors: %s: %s\n", folder, strerror(errno));
    for (int i = 0; i < count; i++) {
        char path[PATH_ROOM];
        struct stat status;
        const int length = snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        const bool is_file = length < PATH_ROOM && stat(path, &status) == 0;
        if (is_file && S_ISDIR(status.st_mode))
            good = visit_folder(path, totals) && good;
        else if (is_file && has_ending(path, ".json"))
            visit_file(folder, path, totals);
        free(entries[i]);
    }
    if (count >= 0)
        free(entries);
    return good && count >= 0;
}

int main(int argc, char **argv)
{
    struct totals totals = {.passed = 0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 2) {
        fprintf(stderr, "Usage: kf-vectors DIR\n");
        return 2;
    }
    for (size_t end = strlen(argv[1]); end > 1 && argv[1][end - 1] == '/'; end--)
        argv[1][end - 1] = '\0';
    const bool readable = visit_folder(argv[1], &totals);
    if (readable && totals.manifests == 0)
        fprintf(stderr, "kf-vectors: %s: there is no manifest with cases\n", argv[1]);
    printf("%u passed, %u failed, %u skipped\n", totals.passed, totals.failed, totals.skipped);
    if (!readable || totals.manifests == 0)
        return 2;
    return totals.failed == 0 ? 0 : 1;
}

/* ---- Counting ---- */

struct reason {
    struct reason *next;
    unsigned cases;
    char text[200];
};

static void count_skipped(struct vectors *vectors, const char *text)
{
    struct reason **place = &vectors->reasons;
    while (*place != NULL && strcmp((*place)->text, text) != 0)
        place = &(*place)->next;
    if (*place == NULL) {
        *place = arena_take(&vectors->arena, sizeof **place);
        snprintf((*place)->text, sizeof(*place)->text, "%.*s", (int)sizeof(*place)->text - 1, text);
    }
    (*place)->cases++;
    vectors->skipped++;
}

void vectors_count(struct vectors *vectors, struct kf_view name, const struct verdict *verdict)
{
    if (verdict->kind == PASSED) {
        vectors->passed++;
    } else if (verdict->kind == SKIPPED) {
        count_skipped(vectors, verdict->text);
    } else {
        vectors->failed++;
        printf("FAILED  %s: %.*s: %s\n", vectors->path, (int)name.length, (const char *)name.data,
               verdict->text);
    }
}

void vectors_each(struct vectors *vectors, const struct json *list, const char *name,
                  void (*run)(struct vectors *vectors, const struct json *item, struct verdict *verdict))
{
    unsigned number = 0;
    JSON_EACH(item, list)
    {
        struct verdict verdict = {.kind = PASSED};
        char numbered[32];
        snprintf(numbered, sizeof numbered, "case %u", ++number);
        const struct json *named = name == NULL ? NULL : json_get_as(item, name, JSON_STRING);
        run(vectors, item, &verdict);
        vectors_count(vectors,
                      named != NULL            ? named->text
                      : item->name.length != 0 ? item->name
                                               : kf_view_text(numbered),
                      &verdict);
    }
}

static void finish_manifest(struct vectors *vectors, struct totals *totals)
{
    const unsigned cases = vectors->passed + vectors->failed + vectors->skipped;
    if (cases > 0)
        printf("%s: %u passed, %u failed, %u skipped\n", vectors->path, vectors->passed, vectors->failed,
               vectors->skipped);
    for (const struct reason *reason = vectors->reasons; reason != NULL; reason = reason->next)
        printf("skipped %s: %u: %s\n", vectors->path, reason->cases, reason->text);
    const bool foreign = vectors->passed + vectors->failed == 0 && vectors->reasons != NULL &&
                         strcmp(vectors->reasons->text, "no format of ours") == 0;
    totals->manifests += cases > 0 && !foreign;
    totals->passed += vectors->passed;
    totals->failed += vectors->failed;
    totals->skipped += vectors->skipped;
}
