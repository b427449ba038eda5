/*
 * Manifests of type "awses-decrypt", versions 1 to 5, of the test vector framework. (The framework's
 * features/0004-awses-message-decryption.md; from version 4 on by what the manifests of the .NET and Dafny
 * clients have.)
 */
#include <strings.h>

#include "base/bytes.h"
#include "vectors/keyrings.h"
#include "vectors/trial.h"

/* The members of a manifest besides its tests. */
struct framework {
    const struct json *keys;
    bool all_fail;     /* whatever the tests say, */
    enum kf_code code; /* with this code, if that is known (else KF_OK) */
};

/* A test of any version. */
struct wish {
    const struct json *scenario; /* the object that has the fields */
    bool must_fail;
    enum kf_code code;            /* with this code, or KF_OK for any */
    const struct json *plaintext; /* has a file as `plaintext_name`, unless it must fail */
    const char *plaintext_name;
    const struct json *reproduced; /* or NULL */
    bool requires;                 /* every key of these has to be reproduced */
};

static bool wish_read(const struct framework *framework, const struct json *test, struct verdict *verdict,
                      struct wish *out)
{
    const struct json *newest = json_get_as(test, "decryption-scenario", JSON_OBJECT);
    *out = (struct wish){.scenario = newest != NULL ? newest : test,
                         .must_fail = framework->all_fail,
                         .code = framework->code};
    const struct json *result = json_get_as(test, "result", JSON_OBJECT);
    if (newest != NULL) {
        out->must_fail |= json_is(newest, "type", "negative-esdk");
        if (!out->must_fail && !json_is(newest, "type", "positive-esdk"))
            return fail(verdict, "the manifest is damaged: the case is neither positive nor negative");
        out->plaintext = newest;
        out->plaintext_name = "result";
        out->reproduced = json_get(newest, "reproduced-encryption-context");
        return true;
    }
    out->plaintext_name = "plaintext";
    out->plaintext = result == NULL ? test : json_get_as(result, "output", JSON_OBJECT);
    if (result != NULL && out->plaintext == NULL && json_get(result, "error") == NULL)
        return fail(verdict, "the manifest is damaged: the result is neither an output nor an error");
    out->must_fail |= out->plaintext == NULL;
    out->requires = json_is(test, "cmm", "RequiredEncryptionContext");
    if (out->requires)
        out->reproduced = json_get(test, "encryption-context");
    return true;
}

static struct kf_cmm *wish_cmm(struct vectors *vectors, const struct json *keys, const struct wish *wish,
                               struct verdict *verdict, const char **left_out)
{
    const struct json *description = json_get_as(wish->scenario, "decryptKeyDescription", JSON_OBJECT);
    if (description != NULL)
        return described_cmm(vectors, keys, description, verdict, left_out);
    const struct json *descriptions = want(wish->scenario, "master-keys", JSON_ARRAY, verdict);
    if (descriptions == NULL)
        return NULL;
    struct kf_cmm *cmm = cmm_on(described_keyrings(vectors, keys, descriptions, verdict, left_out), verdict);
    if (cmm == NULL || !wish->requires || wish->reproduced == NULL || wish->reproduced->count == 0)
        return cmm;
    struct kf_view *names = arena_take(&vectors->arena, wish->reproduced->count * sizeof *names);
    size_t count = 0;
    JSON_EACH(pair, wish->reproduced)
    {
        names[count++] = pair->name;
    }
    return requiring_cmm(cmm, names, count, verdict);
}

/* Positive, or negative. A keyring that was left out may be the one that the message needs. */
static void wish_try(struct vectors *vectors, const struct wish *wish, const struct trial *trial,
                     const char *left_out, struct verdict *verdict)
{
    struct kf_view plaintext;
    if (left_out != NULL) {
        struct kf_buf out = KF_BUF_INIT;
        struct verdict without = {.kind = PASSED};
        if (wish->must_fail || trial_refused_once(trial, KF_E_KEYS, &without, &out))
            skip(verdict, "%s", left_out);
        kf_buf_free(&out);
    }
    if (verdict->kind != PASSED)
        return;
    if (wish->must_fail)
        trial_refused(trial, wish->code, verdict);
    else if (want_file(vectors, wish->plaintext, wish->plaintext_name, verdict, &plaintext))
        trial_gives(trial, plaintext, verdict, NULL);
}

static void run_test(struct vectors *vectors, const struct framework *framework, const struct json *test,
                     struct verdict *verdict)
{
    const char *left_out = NULL;
    struct wish wish;
    struct trial trial = {.cmm = NULL};
    const struct kf_encryption_context *reproduced = NULL;
    if (!wish_read(framework, test, verdict, &wish))
        return;
    trial.cmm = wish_cmm(vectors, framework->keys, &wish, verdict, &left_out);
    if (trial.cmm != NULL && want_file(vectors, wish.scenario, "ciphertext", verdict, &trial.message) &&
        context_of(wish.reproduced, verdict, &reproduced)) {
        trial.reproduced = reproduced;
        trial.unsigned_only = json_is(wish.scenario, "decryption-method", "streaming-unsigned-only");
        wish_try(vectors, &wish, &trial, left_out, verdict);
    }
    kf_encryption_context_unref(reproduced);
    kf_cmm_unref(trial.cmm);
}

/*
 * The result of the whole set, if the manifest says it, in words for people that begin with the result or
 * contain it.
 */
static void read_expect(const struct json *expect, struct verdict *verdict, struct framework *out)
{
    const char *text = expect == NULL ? "success" : (const char *)expect->text.data;
    out->all_fail = strcasestr(text, "fail") != NULL || strcasestr(text, "reject") != NULL;
    if (!out->all_fail && strncasecmp(text, "success", 7) != 0 && strncasecmp(text, "ok", 2) != 0)
        fail(verdict, "\"expect\" is \"%s\", which is not known", text);
    if (out->all_fail && strstr(text, "header authentication") != NULL)
        out->code = KF_E_FORGED;
}

bool run_framework(struct vectors *vectors)
{
    const struct json *manifest = json_get(vectors->root, "manifest");
    if (!json_is(manifest, "type", "awses-decrypt"))
        return false;
    struct verdict verdict = {.kind = PASSED};
    struct framework framework = {.keys = NULL};
    struct kf_view keys;
    const struct json *tests = want(vectors->root, "tests", JSON_OBJECT, &verdict);
    const struct json *root = NULL;
    if (want_text(vectors->root, "keys", &verdict, &keys))
        root = want_json(vectors, keys, &verdict);
    if (root != NULL)
        framework.keys = want(root, "keys", JSON_OBJECT, &verdict);
    read_expect(json_get_as(vectors->root, "expect", JSON_STRING), &verdict, &framework);
    if (verdict.kind != PASSED)
        vectors_count(vectors, kf_view_text("the manifest"), &verdict);
    else
        JSON_EACH(test, tests)
        {
            struct verdict own = {.kind = PASSED};
            run_test(vectors, &framework, test, &own);
            vectors_count(vectors, test->name, &own);
        }
    return true;
}
