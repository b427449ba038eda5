/*
 * A metadata service on loopback that answers each request as a script says, on a new connection.
 */
#ifndef TESTS_AWS_METADATA_SERVER_H
#define TESTS_AWS_METADATA_SERVER_H

#include "aws/scripted_server.h"

/* One answer; see struct server_answer. They are given in order. */
struct metadata_answer {
    const char *begins;
    int status;
    const char *body;
};

static inline void metadata_start(void)
{
    server_start((struct server_habits){.closes = true});
}

/* From now on these are the answers. */
static inline void metadata_script(const struct metadata_answer *script, size_t length)
{
    server_forget();
    for (size_t i = 0; i < length; i++)
        server_tell((struct server_answer){
            .status = script[i].status, .body = script[i].body, .begins = script[i].begins});
}

#endif
