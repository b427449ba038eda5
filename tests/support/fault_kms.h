/*
 * A KMS on loopback that fails as it is told, and counts. It is fault_kms.py, which says what it can be told;
 * it runs as a child process and ends with its parent. Used by tests and benches: any trouble with it ends
 * the program.
 */
#ifndef TESTS_SUPPORT_FAULT_KMS_H
#define TESTS_SUPPORT_FAULT_KMS_H

#include <stdint.h>
#include <sys/types.h>

struct fault_kms {
    pid_t process;
    int input; /* the child's stdin; when it closes, the child ends */
    char url[64], certificate[128];
    uint16_t control;
};

/*
 * Starts a KMS and waits until it listens. With `tls_host` not NULL it speaks TLS, with a certificate for
 * that host.
 */
void fault_kms_start(struct fault_kms *kms, const char *tls_host);
void fault_kms_stop(struct fault_kms *kms); /* one that is all zero is allowed */

/* Sets what the JSON object says. It may be written with ' instead of ", since no value contains one. */
void fault_kms_control(const struct fault_kms *kms, const char *json);

/* A counter: "requests", "connections", "open_peak", an operation's name, …; 0 if it never happened. */
int64_t fault_kms_count(const struct fault_kms *kms, const char *counter);

/* Waits until the counter has risen to `value`, or fallen to it. */
void fault_kms_wait(const struct fault_kms *kms, const char *counter, int64_t value);
void fault_kms_wait_down(const struct fault_kms *kms, const char *counter, int64_t value);

#endif
