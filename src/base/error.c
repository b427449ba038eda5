/*
 * Codes, their classes and sentences. Called from everywhere; keeps no state.
 */
#include "base/error.h"

#include <stdio.h>

#include "base/names.h"

/* Every code once. One without a row here is answered as a bug. */
static const struct kfi_name codes[] = {
    {KF_OK, "KF_OK"},
    {KF_PENDING, "KF_PENDING"},
    {KF_WANT_INPUT, "KF_WANT_INPUT"},
    {KF_WANT_OUTPUT, "KF_WANT_OUTPUT"},
    {KF_E_USAGE, "KF_E_USAGE"},
    {KF_E_POLICY, "KF_E_POLICY"},
    {KF_E_FORKED, "KF_E_FORKED"},
    {KF_E_CLEANED_UP, "KF_E_CLEANED_UP"},
    {KF_E_MALFORMED, "KF_E_MALFORMED"},
    {KF_E_TRUNCATED, "KF_E_TRUNCATED"},
    {KF_E_FORGED, "KF_E_FORGED"},
    {KF_E_TRAILING, "KF_E_TRAILING"},
    {KF_E_KEYS, "KF_E_KEYS"},
    {KF_E_REMOTE, "KF_E_REMOTE"},
    {KF_E_LIMIT, "KF_E_LIMIT"},
    {KF_E_SYSTEM, "KF_E_SYSTEM"},
    {KF_E_NO_MEMORY, "KF_E_NO_MEMORY"},
    {KF_E_BUG, "KF_E_BUG"},
    {KF_E_RETRY, "KF_E_RETRY"},
    {KF_E_TIMEOUT, "KF_E_TIMEOUT"},
};

const char *kf_code_name(enum kf_code code)
{
    return KFI_NAME_OF(codes, code, "KF_E_BUG");
}

const char *kf_class_name(enum kf_class code_class)
{
    static const struct kfi_name classes[] = {
        {KF_CLASS_OK, "ok"},         {KF_CLASS_USAGE, "usage"},   {KF_CLASS_MESSAGE, "message"},
        {KF_CLASS_KEYS, "keys"},     {KF_CLASS_REMOTE, "remote"}, {KF_CLASS_LIMIT, "limit"},
        {KF_CLASS_SYSTEM, "system"}, {KF_CLASS_BUG, "bug"},       {KF_CLASS_RETRY, "retry"},
    };
    return KFI_NAME_OF(classes, code_class, "unknown");
}

enum kf_class kf_code_class(enum kf_code code)
{
    if (code >= 0)
        return KF_CLASS_OK;
    /* A code is its class times -100, less a running number. */
    switch (-(int)code / 100) {
    case KF_CLASS_USAGE:
        return KF_CLASS_USAGE;
    case KF_CLASS_MESSAGE:
        return KF_CLASS_MESSAGE;
    case KF_CLASS_KEYS:
        return KF_CLASS_KEYS;
    case KF_CLASS_REMOTE:
        return KF_CLASS_REMOTE;
    case KF_CLASS_LIMIT:
        return KF_CLASS_LIMIT;
    case KF_CLASS_SYSTEM:
        return KF_CLASS_SYSTEM;
    case KF_CLASS_RETRY:
        return KF_CLASS_RETRY;
    default:
        return KF_CLASS_BUG;
    }
}

void kfi_text_cut(char *text, size_t size)
{
    size_t end = size - sizeof KFI_CUT;
    while (end > 0 && ((unsigned char)text[end] & 0xc0) == 0x80) /* in the middle of a character */
        end--;
    memcpy(text + end, KFI_CUT, sizeof KFI_CUT);
}

void kfi_text_print(char *text, size_t size, const char *format, va_list arguments)
{
    const int written = vsnprintf(text, size, format, arguments);
    if (written < 0)
        text[0] = '\0';
    else if ((size_t)written >= size)
        kfi_text_cut(text, size);
}

enum kf_code kf_error_set(struct kf_error *error, enum kf_code code, const char *format, ...)
{
    if (error == NULL)
        return code;
    /*
     * The arguments may point into the very text that is replaced, as when a sentence is put before an
     * earlier one.
     */
    char text[sizeof error->text];
    va_list arguments;
    va_start(arguments, format);
    kfi_text_print(text, sizeof text, format, arguments);
    va_end(arguments);
    memcpy(error->text, text, strlen(text) + 1);
    error->code = code;
    return code;
}

enum kf_code kfi_no_memory(struct kf_error *error)
{
    return kf_error_set(error, KF_E_NO_MEMORY, "There is not enough memory.");
}

void kfi_error_clear(struct kf_error *error)
{
    if (error == NULL)
        return;
    error->code = KF_OK;
    error->text[0] = '\0';
}
