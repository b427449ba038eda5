/*
 * A KMS on loopback that fails as it is told, and counts: fault_kms.py, which says what it can be told, as a
 * child process that ends with its parent. Used by tests and benches: whatever goes wrong ends the program.
 */
#ifndef TESTS_SUPPORT_FAULT_KMS_H
#define TESTS_SUPPORT_FAULT_KMS_H

#include <stdint.h>
#include <sys/types.h>

struct fault_kms {
    pid_t process;
    int input; /* the child's stdin: it ends with it */
    char url[64], certificate[128];
    uint16_t control;
};

/*
 * Starts one and waits until it listens; with `tls_host` not NULL it speaks TLS, with a certificate for that
 * host.
 */
void fault_kms_start(struct fault_kms *kms, const char *tls_host);
void fault_kms_stop(struct fault_kms *kms); /* also for one that is all zero */

/* Sets what the JSON object says. It may hold ' for ": no value of the tests has one. */
void fault_kms_control(const struct fault_kms *kms, const char *json);

/* A counter: "requests", "connections", "open_peak", an operation's name, …; 0 for what never happened. */
int64_t fault_kms_count(const struct fault_kms *kms, const char *counter);

/* Waits until it has come to `value`, or down to it. */
void fault_kms_wait(const struct fault_kms *kms, const char *counter, int64_t value);
void fault_kms_wait_down(const struct fault_kms *kms, const char *counter, int64_t value);

#endif
