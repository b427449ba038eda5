/*
 * bench/cache: what the cache's one lock costs: how many hits it answers in a second, by threads (cache/hits.c), and how
 * long each rule of the ledger holds it, by how much there is (cache/rules.c).
 *
 * bench/cache [ENTRIES]: the most entries to have, 1000000 if nothing is said, and a tenth as many waiters. It has no
 * numbers to hold. Run it on a machine that does nothing else.
 */
#include <stdlib.h>

#include "cache/hits.c"
#include "cache/rules.c"
#include "support/bare_ledger.c"

int main(int count, char **words)
{
    const unsigned long long most = count > 1 ? strtoull(words[1], NULL, 10) : 1000000;
    if (count > 2 || most < 100 || most > 1000000) {
        fprintf(stderr, "usage: cache [ENTRIES], from 100 to 1000000\n");
        return KF_CLASS_USAGE;
    }
    measure_hits();
    measure_rules((size_t)most);
    measure_lengths(most < 400000 ? (size_t)most / 10 : 40000);
    kf_cleanup();
    return EXIT_SUCCESS;
}
