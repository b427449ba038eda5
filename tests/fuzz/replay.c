/*
 * Runs a fuzz target over the files of a folder, in place of libFuzzer. ctest runs every corpus like this.
 */
#include <dirent.h>
#include <string.h>

#include "fuzz/fuzz.h"

#define LENGTH_MAX (1 << 20)

static void replay(const char *folder, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *stream = fopen(path, "rb");
    uint8_t *bytes = malloc(LENGTH_MAX);
    CHECK(stream != NULL && bytes != NULL);
    const size_t length = fread(bytes, 1, LENGTH_MAX, stream);
    fclose(stream);
    CHECK(length < LENGTH_MAX);

    /* The bytes lie in a block that ends with them, so that a sanitizer sees a read behind them. */
    uint8_t *exact = malloc(length > 0 ? length : 1);
    CHECK(exact != NULL);
    memcpy(exact, bytes, length);
    free(bytes);
    printf("%s\n", name);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, length);
    free(exact);
}

int main(int argc, char **argv)
{
    DIR *folder = argc == 2 ? opendir(argv[1]) : NULL;
    unsigned files = 0;
    if (folder == NULL) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        replay(argv[1], entry->d_name);
        files++;
    }
    closedir(folder);
    printf("%u inputs\n", files);
    return files > 0 ? 0 : 1;
}
