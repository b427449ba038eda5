/*
 * What the fuzz targets share. A target is a file with one LLVMFuzzerTestOneInput, which takes any bytes and
 * ends the process if something is wrong. libFuzzer calls it (preset fuzz, tests/fuzz/run). In every other
 * build replay.c calls it, with the files of the target's corpus.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include <keyflight/keyflight.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t length);

/* Ends the process, so that the input is found and kept. */
#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                                \
        }                                                                           \
    } while (0)

/* An error has its code and a sentence. */
#define CHECK_REFUSED(code, error)                                  \
    do {                                                            \
        CHECK((code) < KF_OK && (code) != KF_E_BUG);                \
        CHECK((error)->code == (code) && (error)->text[0] != '\0'); \
    } while (0)

#endif
