/*
 * Writes small messages of our own to a folder, as seeds for the fuzz targets: every suite, every keyring, and
 * bodies that the library never writes. Called by make-corpus.
 */
#include <string.h>

#include "fuzz/fuzz.h"
#include "support/forge.h"
#include "support/keyring_pairs.h"

static const char *folder;

static void save(const char *kind, unsigned number, struct kf_view message)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s-%04x", folder, kind, number);
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL && fwrite(message.data, 1, message.length, stream) == message.length);
    CHECK(fclose(stream) == 0);
}

static void write_message(const char *kind, unsigned number, enum keyring_pair pair, enum kf_suite suite)
{
    struct kf_cmm *cmm = client_cmm_on(keyring_pair_writer(pair));
    const struct kf_encryption_context *context = client_context("a", "1", "\xc3\xa9", "");
    const struct kf_encrypt_options options = client_encrypt_options(suite, 4, context);
    struct kf_buf message = client_message(cmm, &options, client_plaintext(6));
    save(kind, number, buf_view(message));
    kf_buf_free(&message);
    kf_encryption_context_unref(context);
    kf_cmm_unref(cmm);
}

static void write_not_framed(unsigned suite)
{
    static struct forge forge;
    forge_begin(&forge, suite);
    forge.content_type = 1;
    forge.frame_length = 0;
    forge_header(&forge);
    forge_single_block(&forge, client_plaintext(6));
    if (forge.signer != NULL)
        forge_sign(&forge);
    save("not-framed", suite, forge_view(&forge));
    forge_end(&forge);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    folder = argv[1];
    for (size_t i = 0; i < CLIENT_SUITES; i++)
        write_message("suite", client_suites[i], PAIR_AES, client_suites[i]);
    for (unsigned pair = 0; pair < KEYRING_PAIRS; pair++)
        write_message("keyring", pair, (enum keyring_pair)pair, KF_AES_256_GCM_HKDF_SHA512_COMMIT_KEY);
    write_not_framed(0x0178);
    write_not_framed(0x0214);
    write_not_framed(0x0478);
    write_not_framed(0x0578);
    return 0;
}
