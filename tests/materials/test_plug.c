/*
 * Keyrings and CMMs that a user plugs in: what they may leave out, and what becomes of answers that make no
 * sense.
 */
#include "support/asker.h"

#include <stdio.h>

/* ---- A keyring and a CMM that answer as they are told ---- */

/* What one poll does, in this order. */
struct script {
    enum kf_code says; /* sets this error with a sentence, unless KF_OK */
    bool asks_inside;  /* CMM: fetches good materials from the one inside (keyring: wraps and unwraps well) */
    bool gives_nothing; /* and leaves `out` as it was */
    bool lets_go;       /* CMM: gives the reference up again, and leaves it in `out` */
    enum kf_code answers;
};

struct plugged {
    const struct script *script; /* the first poll's; the last is repeated */
    size_t length;
    struct kf_cmm *inside;
    size_t polls;
    unsigned destroyed, dropped;
};

static void count_drop(void *context)
{
    ((struct plugged *)context)->dropped++;
}

static const struct script *next_script(struct plugged *plugged, struct kf_call *call, struct kf_error *error)
{
    size_t index = plugged->polls < plugged->length ? plugged->polls : plugged->length - 1;
    const struct script *script = &plugged->script[index];
    plugged->polls++;
    if (kf_call_state(call) == NULL)
        kf_call_state_set(call, plugged, count_drop);
    if (script->says != KF_OK)
        kf_error_set(error, script->says, "The script says so.");
    return script;
}

static void plugged_destroy(void *self)
{
    ((struct plugged *)self)->destroyed++;
}

static enum kf_code plugged_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                                struct kf_error *error, const struct kf_encryption_materials **out)
{
    struct plugged *plugged = self;
    const struct script *script = next_script(plugged, call, error);
    if (!script->asks_inside)
        return script->answers;
    const struct kf_encryption_materials *materials;
    enum kf_code code =
        kf_cmm_get_encryption_materials(plugged->inside, kf_call_child(call, 0), request, error, &materials);
    if (code != KF_OK)
        return code;
    if (!script->gives_nothing)
        *out = materials;
    if (script->gives_nothing || script->lets_go)
        kf_encryption_materials_unref(materials);
    if (script->says != KF_OK)
        kf_error_set(error, script->says, "The script says so.");
    return script->answers;
}

/* Reads every message as if it were of another suite, if told so. */
static enum kf_suite read_as;

static enum kf_code plugged_decrypt(void *self, struct kf_call *call,
                                    const struct kf_decryption_request *request, struct kf_error *error,
                                    const struct kf_decryption_materials **out)
{
    struct plugged *plugged = self;
    const struct script *script = next_script(plugged, call, error);
    if (!script->asks_inside)
        return script->answers;
    struct kf_decryption_request changed = *request;
    if (read_as != KF_SUITE_DEFAULT)
        changed.suite = read_as;
    const struct kf_decryption_materials *materials;
    enum kf_code code =
        kf_cmm_decrypt_materials(plugged->inside, kf_call_child(call, 0), &changed, error, &materials);
    if (code != KF_OK)
        return code;
    *out = materials;
    if (script->lets_go)
        kf_decryption_materials_unref(materials);
    return script->answers;
}

static const struct kf_cmm_vtable cmm_vtable = {sizeof cmm_vtable, plugged_get, plugged_decrypt,
                                                plugged_destroy, false};

static const uint8_t data_key[32] = "a data key of thirty-two bytes.";
static const struct kf_edk edk = {
    {(const uint8_t *)"user", 4}, {(const uint8_t *)"info", 4}, {(const uint8_t *)"wrapped", 7}};

static enum kf_code plugged_wrap(void *self, struct kf_call *call,
                                 const struct kf_encryption_materials *materials, struct kf_error *error,
                                 struct kf_wrapped *out)
{
    const struct script *script = next_script(self, call, error);
    assert_int_equal(kf_encryption_materials_data_key(materials).length, 0);
    if (script->asks_inside) {
        assert_int_equal(kf_wrapped_data_key_set(out, kf_view_of(data_key, sizeof data_key), error), KF_OK);
        assert_int_equal(kf_wrapped_edk_add(out, &edk, error), KF_OK);
    }
    return script->answers;
}

static enum kf_code plugged_unwrap(void *self, struct kf_call *call,
                                   const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                   size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    const struct script *script = next_script(self, call, error);
    assert_int_equal(kf_decryption_materials_data_key(materials).length, 0);
    assert_int_equal(edk_count, 1);
    assert_true(edks[0].ciphertext.length > 0);
    if (script->asks_inside) {
        out->length = sizeof data_key;
        memcpy(out->bytes, data_key, sizeof data_key);
    }
    return script->answers;
}

static const struct kf_keyring_vtable keyring_vtable = {sizeof keyring_vtable, plugged_wrap, plugged_unwrap,
                                                        plugged_destroy, false};

/* One CMM, scripted, or a default CMM on a scripted keyring. */
struct plug {
    struct plugged plugged;
    struct kf_cmm *cmm;
};

static void plug_cmm(struct plug *plug, const struct script *script, size_t length)
{
    struct kf_error error = KF_ERROR_INIT;
    *plug = (struct plug){.plugged = {.script = script, .length = length, .inside = support_cmm()}};
    assert_ok(kf_cmm_new(&cmm_vtable, &plug->plugged, &error, &plug->cmm), &error);
}

static void plug_keyring(struct plug *plug, const struct script *script, size_t length)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyring;
    *plug = (struct plug){.plugged = {.script = script, .length = length}};
    assert_ok(kf_keyring_new(&keyring_vtable, &plug->plugged, &error, &keyring), &error);
    assert_ok(kf_default_cmm_new(keyring, &error, &plug->cmm), &error);
    kf_keyring_unref(keyring);
}

static void unplug(struct plug *plug)
{
    kf_cmm_unref(plug->cmm);
    assert_int_equal(plug->plugged.destroyed, 1);
    kf_cmm_unref(plug->plugged.inside);
}

/* Asks in one of four ways: for encryption or decryption, of a CMM or of a keyring behind the default one. */
enum way {
    ENCRYPT_CMM,
    DECRYPT_CMM,
    ENCRYPT_KEYRING,
    DECRYPT_KEYRING,
    WAYS
};

static enum kf_code ask(enum way way, const struct script *script, size_t length, struct plug *plug,
                        struct asker *asker)
{
    if (way == ENCRYPT_CMM || way == DECRYPT_CMM)
        plug_cmm(plug, script, length);
    else
        plug_keyring(plug, script, length);
    if (way == ENCRYPT_CMM || way == ENCRYPT_KEYRING)
        return asker_ask(asker, plug->cmm, 10);
    const struct kf_decryption_request request = decryption_request(&edk, 1);
    return asker_decrypt(asker, plug->cmm, &request);
}

/* ---- Codes ---- */

static void an_answer_that_is_no_answer_is_a_bug(void **state)
{
    (void)state;
    static const int codes[] = {KF_WANT_INPUT, KF_WANT_OUTPUT, 4, 77, -1, -199, -999, -2147483647};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        for (enum way way = 0; way < WAYS; way++) {
            const struct script script = {.answers = (enum kf_code)codes[i]};
            struct plug plug;
            struct asker asker;
            assert_int_equal(ask(way, &script, 1, &plug, &asker), KF_E_BUG);
            assert_int_equal(asker.error.code, KF_E_BUG);
            char number[16];
            snprintf(number, sizeof number, "%d", codes[i]);
            assert_non_null(strstr(asker.error.text, number));
            assert_int_equal(plug.plugged.dropped, 1);
            asker_leave(&asker);
            unplug(&plug);
        }
    }
}

static void an_error_always_has_a_sentence_of_its_own(void **state)
{
    (void)state;
    for (enum way way = 0; way < WAYS; way++) {
        /* No sentence; one for another error; its own. */
        const struct script silent = {.answers = KF_E_REMOTE};
        const struct script wrong = {.says = KF_E_RETRY, .answers = KF_E_REMOTE};
        const struct script right = {.says = KF_E_REMOTE, .answers = KF_E_REMOTE};
        const struct script *const scripts[] = {&silent, &wrong, &right};
        for (size_t i = 0; i < 3; i++) {
            struct plug plug;
            struct asker asker;
            assert_int_equal(ask(way, scripts[i], 1, &plug, &asker), KF_E_REMOTE);
            assert_int_equal(asker.error.code, KF_E_REMOTE);
            if (i < 2)
                assert_non_null(strstr(asker.error.text, "did not say why"));
            else
                assert_string_equal(asker.error.text, "The script says so.");
            asker_leave(&asker);
            unplug(&plug);
        }
    }
    /* Also an error of the caller's kind, or a bug that it found itself, is passed on. */
    static const enum kf_code codes[] = {KF_E_USAGE, KF_E_KEYS, KF_E_TIMEOUT, KF_E_BUG};
    for (size_t i = 0; i < 4; i++) {
        const struct script script = {.says = codes[i], .answers = codes[i]};
        struct plug plug;
        struct asker asker;
        assert_int_equal(ask(ENCRYPT_CMM, &script, 1, &plug, &asker), codes[i]);
        assert_string_equal(asker.error.text, "The script says so.");
        asker_leave(&asker);
        unplug(&plug);
    }
}

static void a_trouble_on_the_way_to_a_good_answer_is_forgotten(void **state)
{
    (void)state;
    /*
     * It fails inside, waits, fails inside again, and succeeds all the same: as one that has a second source
     * does.
     */
    const struct script scripts[] = {{.says = KF_E_RETRY, .answers = KF_PENDING},
                                     {.says = KF_E_REMOTE, .asks_inside = true, .answers = KF_OK}};
    for (enum way way = 0; way < WAYS; way++) {
        if (way == DECRYPT_CMM)
            continue; /* the EDK is the other keyring's */
        struct plug plug;
        struct asker asker;
        assert_int_equal(ask(way, scripts, 2, &plug, &asker), KF_PENDING);
        assert_int_equal(asker.error.code, KF_OK);
        assert_string_equal(asker.error.text, "");
        assert_int_equal(plug.plugged.dropped, 0);
        assert_int_equal(asker_poll(&asker), KF_OK);
        assert_int_equal(asker.error.code, KF_OK);
        assert_string_equal(asker.error.text, "");
        assert_int_equal(plug.plugged.dropped, 1);
        asker_leave(&asker);
        unplug(&plug);
    }
}

/* The same through a stream, which takes an error that is left over for its end. */
static void a_stream_outlives_a_keyring_that_could_not(void **state)
{
    (void)state;
    const struct script cannot = {.says = KF_E_KEYS, .answers = KF_E_KEYS};
    struct plugged plugged = {.script = &cannot, .length = 1};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *keyrings[2] = {NULL, support_keyring()}, *multi;
    struct kf_cmm *writer = support_cmm(), *reader;
    assert_ok(kf_keyring_new(&keyring_vtable, &plugged, &error, &keyrings[0]), &error);
    assert_ok(kf_multi_keyring_new(NULL, keyrings, 2, &error, &multi), &error);
    assert_ok(kf_default_cmm_new(multi, &error, &reader), &error);

    struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
    options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
    struct kf_buf message = KF_BUF_INIT;
    assert_ok(kf_encrypt(writer, &options, kf_view_text("text"), &error, &message), &error);

    struct kf_decryptor *decryptor;
    assert_ok(kf_decryptor_new(reader, NULL, &error, &decryptor), &error);
    uint8_t out[8];
    size_t given = 0, got = 0;
    enum kf_code code;
    do {
        struct kf_io io = {.in = message.data + given,
                           .in_length = given < message.length ? 1 : 0,
                           .in_end = given == message.length,
                           .out = out + got,
                           .out_room = sizeof out - got};
        code = kf_decryptor_poll(decryptor, &io, NULL);
        given += io.in_used;
        got += io.out_used;
    } while (code == KF_WANT_INPUT);
    assert_ok(code, kf_decryptor_error(decryptor));
    assert_int_equal(got, 4);
    assert_memory_equal(out, "text", 4);
    kf_decryptor_free(decryptor);
    kf_buf_free(&message);
    kf_cmm_unref(reader);
    kf_cmm_unref(writer);
    kf_keyring_unref(multi);
    kf_keyring_unref(keyrings[0]);
    kf_keyring_unref(keyrings[1]);
    assert_int_equal(plugged.destroyed, 1);
}

/* ---- Materials ---- */

static void ok_without_materials_is_a_bug(void **state)
{
    (void)state;
    const struct script nothing = {.answers = KF_OK};
    for (enum way way = ENCRYPT_CMM; way <= DECRYPT_CMM; way++) {
        struct plug plug;
        struct asker asker;
        assert_int_equal(ask(way, &nothing, 1, &plug, &asker), KF_E_BUG);
        assert_non_null(strstr(asker.error.text, "without materials"));
        asker_leave(&asker);
        unplug(&plug);
    }
    /* Fetched, but not given. */
    const struct script kept = {.asks_inside = true, .gives_nothing = true, .answers = KF_OK};
    struct plug plug;
    struct asker asker;
    assert_int_equal(ask(ENCRYPT_CMM, &kept, 1, &plug, &asker), KF_E_BUG);
    asker_leave(&asker);
    unplug(&plug);
}

static void what_an_error_left_in_out_is_not_taken(void **state)
{
    (void)state;
    /* It got materials, did not like them, released them, and forgot to say so in `out`. */
    static const enum kf_code codes[] = {KF_E_POLICY, KF_PENDING, KF_WANT_INPUT};
    for (size_t i = 0; i < 3; i++) {
        const struct script scripts[] = {
            {.asks_inside = true, .lets_go = true, .answers = codes[i]},
            {.says = KF_E_POLICY, .answers = KF_E_POLICY},
        };
        struct plug plug;
        struct asker asker;
        enum kf_code code = ask(ENCRYPT_CMM, scripts, 2, &plug, &asker);
        assert_null(asker.encryption_materials);
        if (code == KF_PENDING)
            code = asker_poll(&asker);
        assert_int_equal(code, i == 2 ? KF_E_BUG : KF_E_POLICY);
        asker_leave(&asker);

        /* Nor by an encryptor, which would release them at its end. */
        struct kf_encrypt_options options = KF_ENCRYPT_OPTIONS_INIT;
        struct kf_encryptor *encryptor;
        struct kf_error error = KF_ERROR_INIT;
        struct kf_io io = {.in = NULL};
        struct bell bell;
        bell_init(&bell);
        const struct kf_waker waker = bell_waker(&bell);
        plug.plugged.polls = 0;
        options.suite = KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY;
        assert_ok(kf_encryptor_new(plug.cmm, &options, &error, &encryptor), &error);
        assert_int_equal(kf_encryptor_poll(encryptor, &io, &waker), i == 2 ? KF_E_BUG : codes[i]);
        assert_null(kf_encryptor_materials(encryptor));
        kf_encryptor_free(encryptor);
        bell_destroy(&bell);
        unplug(&plug);
    }
}

static void materials_have_to_be_for_the_message(void **state)
{
    (void)state;
    const struct script script = {.asks_inside = true, .answers = KF_OK};
    struct plug plug;
    struct asker writing, reading;
    plug_cmm(&plug, &script, 1);
    assert_int_equal(asker_ask(&writing, plug.cmm, 10), KF_OK);
    const struct kf_edk wrapped = kf_encryption_materials_edk(writing.encryption_materials, 0);
    struct kf_decryption_request request = decryption_request(&wrapped, 1);
    assert_int_equal(asker_decrypt(&reading, plug.cmm, &request), KF_OK);
    assert_true(askers_share_key(&writing, &reading));
    asker_leave(&reading);

    /* The CMM reads the message as one of another suite. */
    request.commitment_policy = KF_REQUIRE_ENCRYPT_ALLOW_DECRYPT;
    read_as = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    assert_int_equal(asker_decrypt(&reading, plug.cmm, &request), KF_E_BUG);
    assert_non_null(strstr(reading.error.text, "0178"));
    assert_non_null(strstr(reading.error.text, "0478"));
    read_as = KF_SUITE_DEFAULT;
    asker_leave(&reading);
    asker_leave(&writing);
    unplug(&plug);
}

/* Asks the CMM inside for another suite and another policy than it was asked for. */
static enum kf_code wayward_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                                struct kf_error *error, const struct kf_encryption_materials **out)
{
    struct kf_encryption_request changed = *request;
    changed.suite = KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256;
    changed.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    changed.max_edks = 0;
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), &changed, error, out);
}

static enum kf_code no_decrypt(void *self, struct kf_call *call, const struct kf_decryption_request *request,
                               struct kf_error *error, const struct kf_decryption_materials **out)
{
    (void)self, (void)call, (void)request, (void)out;
    return kf_error_set(error, KF_E_USAGE, "It only writes.");
}

static void materials_have_to_keep_the_policy_and_the_edk_limit(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable vtable = {sizeof vtable, wayward_get, no_decrypt, NULL, false};
    struct kf_error error = KF_ERROR_INIT;
    struct kf_keyring *one = support_keyring(), *two;
    assert_ok(kf_multi_keyring_new(one, &one, 1, &error, &two), &error);
    struct kf_cmm *inside, *cmm;
    assert_ok(kf_default_cmm_new(two, &error, &inside), &error);
    assert_ok(kf_cmm_new(&vtable, inside, &error, &cmm), &error);

    struct kf_encryption_request request = encryption_request(10);
    struct asker asker;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_E_POLICY);
    assert_non_null(strstr(asker.error.text, "0178"));
    asker_leave(&asker);

    /* Under a policy that allows it, another suite than the one that was asked for is the CMM's decision. */
    request.commitment_policy = KF_FORBID_ENCRYPT_ALLOW_DECRYPT;
    request.suite = KF_SUITE_DEFAULT;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_OK);
    assert_int_equal(kf_encryption_materials_suite(asker.encryption_materials),
                     KF_AES_256_GCM_IV12_TAG16_HKDF_SHA256);
    assert_int_equal(kf_encryption_materials_edk_count(asker.encryption_materials), 2);
    asker_leave(&asker);
    request.max_edks = 2;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_OK);
    asker_leave(&asker);
    request.max_edks = 1;
    assert_int_equal(asker_encrypt(&asker, cmm, &request), KF_E_LIMIT);
    asker_leave(&asker);

    kf_cmm_unref(cmm);
    kf_cmm_unref(inside);
    kf_keyring_unref(two);
    kf_keyring_unref(one);
}

/* ---- Asking without wanting the sentence ---- */

static enum kf_code deaf_get(void *self, struct kf_call *call, const struct kf_encryption_request *request,
                             struct kf_error *error, const struct kf_encryption_materials **out)
{
    (void)error;
    return kf_cmm_get_encryption_materials(self, kf_call_child(call, 0), request, NULL, out);
}

static enum kf_code deaf_decrypt(void *self, struct kf_call *call,
                                 const struct kf_decryption_request *request, struct kf_error *error,
                                 const struct kf_decryption_materials **out)
{
    (void)error;
    return kf_cmm_decrypt_materials(self, kf_call_child(call, 0), request, NULL, out);
}

static enum kf_code deaf_wrap(void *self, struct kf_call *call,
                              const struct kf_encryption_materials *materials, struct kf_error *error,
                              struct kf_wrapped *out)
{
    (void)error;
    return kf_keyring_on_encrypt(self, kf_call_child(call, 0), materials, NULL, out);
}

static enum kf_code deaf_unwrap(void *self, struct kf_call *call,
                                const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                                size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    (void)error;
    return kf_keyring_on_decrypt(self, kf_call_child(call, 0), materials, edks, edk_count, NULL, out);
}

/* A keyring inside two keyrings and a CMM: it fails with a sentence, which nobody outside wants. */
static void a_sentence_need_not_be_wanted(void **state)
{
    (void)state;
    static const struct kf_cmm_vtable cmms = {sizeof cmms, deaf_get, deaf_decrypt, NULL, false};
    static const struct kf_keyring_vtable keyrings = {sizeof keyrings, deaf_wrap, deaf_unwrap, NULL, false};
    static const struct script refuses[] = {{.says = KF_E_REMOTE, .answers = KF_E_REMOTE}};
    struct kf_error error = KF_ERROR_INIT;
    struct plugged plugged = {.script = refuses, .length = 1};
    struct kf_keyring *failing, *outside;
    struct kf_cmm *inside, *cmm;
    assert_ok(kf_keyring_new(&keyring_vtable, &plugged, &error, &failing), &error);
    assert_ok(kf_keyring_new(&keyrings, failing, &error, &outside), &error);
    assert_ok(kf_default_cmm_new(outside, &error, &inside), &error);
    assert_ok(kf_cmm_new(&cmms, inside, &error, &cmm), &error);

    const struct kf_encryption_request writing = encryption_request(1);
    const struct kf_decryption_request reading = decryption_request(&edk, 1);
    struct asker asker;
    assert_int_equal(asker_encrypt(&asker, cmm, &writing), KF_E_REMOTE);
    assert_string_equal(asker.error.text, "A CMM failed with KF_E_REMOTE and did not say why.");
    asker_leave(&asker);
    assert_int_equal(asker_decrypt(&asker, cmm, &reading), KF_E_REMOTE);
    assert_string_equal(asker.error.text, "A CMM failed with KF_E_REMOTE and did not say why.");
    asker_leave(&asker);
    assert_int_equal(plugged.polls, 2);

    kf_cmm_unref(cmm);
    kf_cmm_unref(inside);
    kf_keyring_unref(outside);
    kf_keyring_unref(failing);
}

/* ---- Plugging in ---- */

static void a_vtable_has_to_be_whole(void **state)
{
    (void)state;
    struct kf_error error = KF_ERROR_INIT;
    struct kf_cmm *cmm = NULL;
    struct kf_keyring *keyring = NULL;
    struct plugged plugged = {.destroyed = 0};
    struct kf_cmm_vtable cmms[3] = {cmm_vtable, cmm_vtable, cmm_vtable};
    cmms[0].size = sizeof cmm_vtable - 1;
    cmms[1].get_encryption_materials = NULL;
    cmms[2].decrypt_materials = NULL;
    struct kf_keyring_vtable keyrings[3] = {keyring_vtable, keyring_vtable, keyring_vtable};
    keyrings[0].size = sizeof keyring_vtable - 1;
    keyrings[1].on_encrypt = NULL;
    keyrings[2].on_decrypt = NULL;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(kf_cmm_new(&cmms[i], &plugged, &error, &cmm), KF_E_USAGE);
        assert_int_equal(error.code, KF_E_USAGE);
        assert_int_equal(kf_keyring_new(&keyrings[i], &plugged, &error, &keyring), KF_E_USAGE);
    }
    assert_int_equal(kf_cmm_new(NULL, &plugged, NULL, &cmm), KF_E_USAGE);
    assert_int_equal(kf_keyring_new(NULL, &plugged, NULL, &keyring), KF_E_USAGE);
    assert_null(cmm);
    assert_null(keyring);
    assert_int_equal(plugged.destroyed, 0); /* `self` stays the caller's */

    /* What a later release added would never be called. */
    cmms[0].size = sizeof cmm_vtable + 8;
    assert_int_equal(kf_cmm_new(&cmms[0], &plugged, &error, &cmm), KF_E_USAGE);
    keyrings[0].size = sizeof keyring_vtable + 8;
    assert_int_equal(kf_keyring_new(&keyrings[0], &plugged, &error, &keyring), KF_E_USAGE);

    /* An earlier release's ends earlier, as if without destroy; it is copied. */
    cmms[0].size = offsetof(struct kf_cmm_vtable, destroy);
    assert_ok(kf_cmm_new(&cmms[0], &plugged, &error, &cmm), &error);
    memset(&cmms[0], 0, sizeof cmms[0]);
    kf_cmm_unref(kf_cmm_ref(cmm));
    kf_cmm_unref(cmm);
    keyrings[0].size = offsetof(struct kf_keyring_vtable, destroy);
    assert_ok(kf_keyring_new(&keyrings[0], &plugged, &error, &keyring), &error);
    memset(&keyrings[0], 0, sizeof keyrings[0]);
    kf_keyring_unref(kf_keyring_ref(keyring));
    kf_keyring_unref(keyring);
    assert_int_equal(plugged.destroyed, 0);
    kf_cmm_unref(NULL);
    kf_keyring_unref(NULL);
}

static void a_pending_call_is_dropped_when_it_is_cancelled(void **state)
{
    (void)state;
    const struct script pending = {.answers = KF_PENDING};
    for (enum way way = 0; way < WAYS; way++) {
        struct plug plug;
        struct asker asker;
        assert_int_equal(ask(way, &pending, 1, &plug, &asker), KF_PENDING);
        assert_int_equal(plug.plugged.dropped, 0);
        asker_leave(&asker);
        assert_int_equal(plug.plugged.dropped, 1);
        unplug(&plug);
    }
}

static void whatever_a_plug_answers_ends_its_part_of_the_call(void **state)
{
    (void)state;
    /* Asked three times through one call, as one who tries again does: each time from the beginning. */
    const struct script scripts[] = {{.answers = KF_PENDING},
                                     {.says = KF_E_RETRY, .answers = KF_E_RETRY},
                                     {.asks_inside = true, .answers = KF_OK},
                                     {.answers = KF_WANT_INPUT}};
    static const enum kf_code expected[] = {KF_PENDING, KF_E_RETRY, KF_OK, KF_E_BUG};
    static const unsigned dropped[] = {0, 1, 2, 3};
    struct plug plug;
    struct kf_call call;
    struct kf_error error = KF_ERROR_INIT;
    const struct kf_encryption_request request = encryption_request(1);
    plug_cmm(&plug, scripts, 4);
    kfi_call_init(&call, NULL);
    struct kf_call *child = kf_call_child(&call, 0);
    for (size_t i = 0; i < 4; i++) {
        const struct kf_encryption_materials *materials;
        assert_int_equal(kf_cmm_get_encryption_materials(plug.cmm, child, &request, &error, &materials),
                         expected[i]);
        assert_int_equal(plug.plugged.dropped, dropped[i]);
        assert_int_equal(child->child_count, 0);
        kf_encryption_materials_unref(materials);
    }
    kfi_call_end(&call);
    assert_int_equal(plug.plugged.dropped, 3);
    unplug(&plug);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_that_is_no_answer_is_a_bug),
        cmocka_unit_test(an_error_always_has_a_sentence_of_its_own),
        cmocka_unit_test(a_trouble_on_the_way_to_a_good_answer_is_forgotten),
        cmocka_unit_test(a_stream_outlives_a_keyring_that_could_not),
        cmocka_unit_test(ok_without_materials_is_a_bug),
        cmocka_unit_test(what_an_error_left_in_out_is_not_taken),
        cmocka_unit_test(materials_have_to_be_for_the_message),
        cmocka_unit_test(materials_have_to_keep_the_policy_and_the_edk_limit),
        cmocka_unit_test(a_sentence_need_not_be_wanted),
        cmocka_unit_test(a_vtable_has_to_be_whole),
        cmocka_unit_test(a_pending_call_is_dropped_when_it_is_cancelled),
        cmocka_unit_test(whatever_a_plug_answers_ends_its_part_of_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
