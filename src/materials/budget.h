/*
 * Budgets: how much one data key has been used, and how much it may be. Plain values; their owner has the
 * lock.
 */
#ifndef KFI_MATERIALS_BUDGET_H
#define KFI_MATERIALS_BUDGET_H

#include "materials/cache.h"

struct kfi_budget {
    struct kfi_limits limits; /* the least of those that used it */
    uint64_t messages;
    uint64_t bytes;
};

/*
 * Whether one more message of `length` bytes fits, under its limits and the asker's. Never changes anything.
 */
bool kfi_budget_fits(const struct kfi_budget *budget, const struct kfi_limits *limits, uint64_t length);

/* Charges a message that fits. */
void kfi_budget_charge(struct kfi_budget *budget, const struct kfi_limits *limits, uint64_t length);

/* Takes a charge back. Limits that it lowered stay lowered. */
void kfi_budget_refund(struct kfi_budget *budget, uint64_t length);

/* Takes back so many bytes of messages that were shorter than was charged for them. */
void kfi_budget_settle(struct kfi_budget *budget, uint64_t bytes);

/* Whether no more than `permille` thousandths of the messages or of the bytes are left. */
bool kfi_budget_little(const struct kfi_budget *budget, uint32_t permille);

/*
 * Compares what is left, relative to the limits: the lesser share of messages and bytes counts. <0, 0, >0 as
 * `a` has less, as much or more left than `b`.
 */
int kfi_budget_compare(const struct kfi_budget *a, const struct kfi_budget *b);

#endif
