/*
 * A keyring that blocks, made fit for a cache.
 *
 * Many SDKs of key services and hardware modules know only calls that block. A keyring on one of them would
 * hold up whoever polls it, the library's own thread included. kf_blocking_keyring_new runs it on a few worker
 * threads instead. (The service here is a raw AES keyring behind a lock that lets one call through at a time.)
 */
#include <keyflight/keyflight.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct module {
    pthread_mutex_t session; /* one call at a time: this is where callers block */
    struct kf_keyring *inside;
    unsigned number;
};

static enum kf_code on_encrypt(void *self, struct kf_call *call,
                               const struct kf_encryption_materials *materials, struct kf_error *error,
                               struct kf_wrapped *out)
{
    struct module *module = self;
    pthread_mutex_lock(&module->session);
    enum kf_code code = kf_keyring_on_encrypt(module->inside, kf_call_child(call, 0), materials, error, out);
    char id[32];
    snprintf(id, sizeof id, "request-%u", ++module->number);
    pthread_mutex_unlock(&module->session);
    kf_call_request_id_set(call, kf_view_text(id)); /* shows up in the cache's events */
    return code;
}

static enum kf_code on_decrypt(void *self, struct kf_call *call,
                               const struct kf_decryption_materials *materials, const struct kf_edk *edks,
                               size_t edk_count, struct kf_error *error, struct kf_data_key *out)
{
    struct module *module = self;
    pthread_mutex_lock(&module->session);
    enum kf_code code =
        kf_keyring_on_decrypt(module->inside, kf_call_child(call, 0), materials, edks, edk_count, error, out);
    pthread_mutex_unlock(&module->session);
    return code;
}

static void destroy(void *self)
{
    struct module *module = self;
    kf_keyring_unref(module->inside);
    pthread_mutex_destroy(&module->session);
    free(module);
}

static enum kf_code module_keyring_new(struct kf_error *error, struct kf_keyring **out)
{
    static const struct kf_keyring_vtable vtable = {
        .size = sizeof vtable, .on_encrypt = on_encrypt, .on_decrypt = on_decrypt, .destroy = destroy};
    static const uint8_t key[32] = {7}; /* yours is random */
    struct kf_raw_aes_keyring_options options = KF_RAW_AES_KEYRING_OPTIONS_INIT;
    options.key_namespace = kf_view_text("examples");
    options.key_name = kf_view_text("module");
    options.wrapping_key = kf_view_of(key, sizeof key);
    struct module *module = calloc(1, sizeof *module);
    if (module == NULL)
        return kf_error_set(error, KF_E_NO_MEMORY, "There is no memory for a module.");
    pthread_mutex_init(&module->session, NULL);
    enum kf_code code = kf_raw_aes_keyring_new(&options, error, &module->inside);
    if (code == KF_OK)
        code = kf_keyring_new(&vtable, module, error, out);
    if (code != KF_OK)
        destroy(module);
    return code;
}

/* The cache's events, to be matched with the service's own log. */
static void on_event(void *context, const struct kf_cache_event *event)
{
    (void)context;
    if (event->kind == KF_CACHE_LANDED)
        printf("%s key %s came with %.*s\n", event->decrypts ? "opened" : "new", event->fingerprint,
               (int)event->request_id.length, (const char *)event->request_id.data);
}

static enum kf_code caching_cmm_new(struct kf_keyring *keyring, struct kf_error *error, struct kf_cmm **out)
{
    struct kf_caching_cmm_options options = KF_CACHING_CMM_OPTIONS_INIT;
    options.keyring = keyring;
    options.max_age_ms = 60000;
    options.max_messages = 100;
    options.max_flights = 2; /* the module need not be asked more often than this at once */
    enum kf_code code = kf_cache_new(100, error, &options.cache);
    if (code == KF_OK)
        code = kf_cache_listener_new(on_event, NULL, NULL, error, &options.listener);
    if (code == KF_OK)
        code = kf_caching_cmm_new(&options, error, out);
    kf_cache_listener_unref(options.listener); /* the CMM holds both */
    kf_cache_unref(options.cache);
    return code;
}

int main(void)
{
    struct kf_error error = KF_ERROR_INIT;
    struct kf_blocking_keyring_options options = KF_BLOCKING_KEYRING_OPTIONS_INIT;
    struct kf_keyring *keyring = NULL;
    struct kf_cmm *cmm = NULL;
    struct kf_buf message = KF_BUF_INIT, plaintext = KF_BUF_INIT;

    enum kf_code code = module_keyring_new(&error, &options.keyring);
    options.max_workers = 2;
    if (code == KF_OK)
        code = kf_blocking_keyring_new(&options, &error, &keyring);
    kf_keyring_unref(options.keyring); /* the blocking one holds it, */
    if (code == KF_OK)
        code = caching_cmm_new(keyring, &error, &cmm);
    kf_keyring_unref(keyring); /* ... and the CMM holds that */
    if (code == KF_OK)
        code = kf_encrypt(cmm, NULL, kf_view_text("Wrapped by a worker."), &error, &message);
    if (code == KF_OK)
        code = kf_decrypt(cmm, NULL, kf_view_of(message.data, message.length), &error, NULL, &plaintext);
    if (code == KF_OK)
        printf("%.*s\n", (int)plaintext.length, (const char *)plaintext.data);
    else
        fprintf(stderr, "%s: %s\n", kf_code_name(code), error.text);
    kf_buf_free(&message);
    kf_buf_free(&plaintext);
    kf_cmm_unref(cmm);
    kf_cleanup();
    return (int)kf_code_class(code);
}
