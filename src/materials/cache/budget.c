/*
 * Budgets: see budget.h. Called by the storeys of the ledger above.
 */
#include "materials/cache/budget.h"

__extension__ typedef unsigned __int128 wide;

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

bool kfi_budget_fits(const struct kfi_budget *budget, const struct kfi_limits *limits, uint64_t length)
{
    uint64_t max_messages = least(budget->limits.max_messages, limits->max_messages);
    uint64_t max_bytes = least(budget->limits.max_bytes, limits->max_bytes);
    /* Written so that nothing can overflow. An asker's limits may be below what was used already. */
    return budget->messages < max_messages && budget->bytes <= max_bytes &&
           length <= max_bytes - budget->bytes;
}

/*
 * The measures: messages, bytes under the key's limits, bytes under the asker's, and age. Where a message needs that there
 * is no more than a number of something, that number stands there turned round.
 */
struct kfi_measures kfi_limits_needs(const struct kfi_limits *limits, uint64_t length)
{
    return (struct kfi_measures){
        {~(limits->max_messages - 1), length, ~(limits->max_bytes - length), ~(limits->max_age_ms - 1)}};
}

struct kfi_measures kfi_budget_gives(const struct kfi_budget *budget, uint64_t age_ms)
{
    return (struct kfi_measures){
        {~budget->messages, budget->limits.max_bytes - budget->bytes, ~budget->bytes, ~age_ms}};
}

struct kfi_measures kfi_measures_turned(const struct kfi_measures *measures)
{
    struct kfi_measures turned;
    for (unsigned i = 0; i < KFI_MEASURES; i++)
        turned.of[i] = ~measures->of[i];
    return turned;
}

void kfi_budget_charge(struct kfi_budget *budget, const struct kfi_limits *limits, uint64_t length)
{
    budget->limits.max_messages = least(budget->limits.max_messages, limits->max_messages);
    budget->limits.max_bytes = least(budget->limits.max_bytes, limits->max_bytes);
    budget->limits.max_age_ms = least(budget->limits.max_age_ms, limits->max_age_ms);
    budget->messages++;
    budget->bytes += length;
}

void kfi_budget_refund(struct kfi_budget *budget, uint64_t length)
{
    budget->messages--;
    budget->bytes -= length;
}

void kfi_budget_settle(struct kfi_budget *budget, uint64_t bytes)
{
    budget->bytes -= least(bytes, budget->bytes);
}

struct share {
    uint64_t left, all;
};

static int share_compare(struct share a, struct share b)
{
    wide x = (wide)a.left * b.all, y = (wide)b.left * a.all;
    return (x > y) - (x < y);
}

static struct share share_left(const struct kfi_budget *budget)
{
    struct share messages = {budget->limits.max_messages - budget->messages, budget->limits.max_messages};
    struct share bytes = {budget->limits.max_bytes - budget->bytes, budget->limits.max_bytes};
    /* A limit of 0 bytes is one that only empty messages are held to, and they use nothing of it. */
    if (bytes.all == 0)
        bytes = (struct share){1, 1};
    return share_compare(messages, bytes) < 0 ? messages : bytes;
}

int kfi_budget_compare(const struct kfi_budget *a, const struct kfi_budget *b)
{
    return share_compare(share_left(a), share_left(b));
}

bool kfi_budget_is_used_up(const struct kfi_budget *budget)
{
    return budget->messages >= budget->limits.max_messages;
}

bool kfi_budget_is_low(const struct kfi_budget *budget, uint32_t permille)
{
    return share_compare(share_left(budget), (struct share){permille, 1000}) <= 0;
}
