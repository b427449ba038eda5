/*
 * A network in the place of libcurl (network.c has the functions of aws/service/http_curl.h): it completes, fails and
 * delays transfers under the schedule.
 */
#ifndef SCHEDULE_SCENES_NETWORK_H
#define SCHEDULE_SCENES_NETWORK_H

#include <stdint.h>

/* A host that never answers. */
#define NETWORK_SILENT "https://silent/"

struct network {
    uint32_t fail_permille;       /* so many of a thousand transfers fail, */
    uint32_t begin_fail_permille; /* ... and so many can't begin */
    uint32_t latency_ms;          /* a transfer may take so long */
    uint32_t under_way, peak;     /* transfers; the most of them at once */
    uint32_t completed;
};

/* Starts it, as a thread. It has to outlive every transfer. */
void network_open(struct network *network);
void network_close(void);

#endif
