/*
 * Budgets: how much one data key has been used, and how much it may be. The ground floor of the ledger: plain values,
 * which know of no key and of no caller.
 */
#ifndef KFI_MATERIALS_CACHE_BUDGET_H
#define KFI_MATERIALS_CACHE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

/* What may be done with one data key. UINT64_MAX: without limit. */
struct kfi_limits {
    uint64_t max_messages;
    uint64_t max_bytes;
    uint64_t max_age_ms;
};

/* What a CMM wants of its keys: the options of caching_cmm.h that decide what a rule does. */
struct kfi_policy {
    struct kfi_limits limits;
    uint64_t failure_backoff_ms;     /* 0: off */
    uint32_t refresh_ahead_permille; /* 0: off */
    uint32_t max_flights;            /* 0: any number */
    bool settle;
};

struct kfi_budget {
    struct kfi_limits limits; /* the least of those that used it */
    uint64_t messages;
    uint64_t bytes;
};

/* Whether one more message of `length` bytes fits, under its limits and the asker's. */
bool kfi_budget_fits(const struct kfi_budget *budget, const struct kfi_limits *limits, uint64_t length);

/* Charges a message that fits. From now on the key has the asker's limits too. */
void kfi_budget_charge(struct kfi_budget *budget, const struct kfi_limits *limits, uint64_t length);

/* Takes a charge back. Limits that it lowered stay lowered. */
void kfi_budget_refund(struct kfi_budget *budget, uint64_t length);

/* Takes back `bytes` of messages that turned out shorter than was charged for them. */
void kfi_budget_settle(struct kfi_budget *budget, uint64_t bytes);

/*
 * What a message needs and what a budget gives, in numbers that are compared one by one: a message fits if it needs no
 * more of any than is given. So the first that fits can be found in an order (see order.h).
 */
enum {
    KFI_MEASURES = 4
};
struct kfi_measures {
    uint64_t of[KFI_MEASURES];
};

/* What a message needs. It is within its own limits: no others come here, they bypass the cache. */
struct kfi_measures kfi_limits_needs(const struct kfi_limits *limits, uint64_t length);
/* What is given of a key of this age, 0 for one that is to come. It is not used up. */
struct kfi_measures kfi_budget_gives(const struct kfi_budget *budget, uint64_t age_ms);
/*
 * Turned round, what is given is a need and what is needed is given: of many budgets the first for one message is found
 * as the first message for one budget is.
 */
struct kfi_measures kfi_measures_turned(const struct kfi_measures *measures);

/* Whether no message fits any more, however short. */
bool kfi_budget_is_used_up(const struct kfi_budget *budget);

/* Whether no more than `permille` thousandths of the messages or of the bytes are left. */
bool kfi_budget_is_low(const struct kfi_budget *budget, uint32_t permille);

/*
 * Compares what is left, relative to the limits: the lesser share of messages and bytes counts. <0, 0, >0 as
 * `a` has less, as much or more left than `b`.
 */
int kfi_budget_compare(const struct kfi_budget *a, const struct kfi_budget *b);

#endif
