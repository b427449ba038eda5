/* Base64: see base64.h. Never leaves a copy of its input but in its output. */
#include "keys/base64.h"

#include <string.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t cli_base64_decode(struct kf_view text, uint8_t bytes[KF_DATA_KEY_MAX])
{
    if (text.length == 0 || text.length > CLI_BASE64_MAX || text.length % 4 != 0)
        return 0;
    size_t padding = text.data[text.length - 1] != '=' ? 0 : text.data[text.length - 2] != '=' ? 1 : 2;
    size_t length = 0;
    uint32_t bits = 0;
    for (size_t i = 0; i < text.length; i++) {
        const char *digit = i < text.length - padding ? memchr(digits, text.data[i], 64) : digits;
        if (digit == NULL)
            return 0;
        bits = bits << 6 | (uint32_t)(digit - digits);
        if (i % 4 != 3)
            continue;
        size_t whole = i + 1 < text.length ? 3 : 3 - padding;
        if (length + whole > KF_DATA_KEY_MAX || (bits & ((UINT32_C(1) << 8 * (3 - whole)) - 1)) != 0)
            return 0;
        for (size_t k = 0; k < whole; k++)
            bytes[length++] = (uint8_t)(bits >> (16 - 8 * k));
        bits = 0;
    }
    return length;
}

size_t cli_base64_encode(struct kf_view bytes, uint8_t text[CLI_BASE64_MAX])
{
    size_t length = 0;
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t whole = bytes.length - i < 3 ? bytes.length - i : 3;
        uint32_t bits = 0;
        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (k < whole ? bytes.data[i + k] : 0U);
        for (size_t k = 0; k < 4; k++)
            text[length++] = (uint8_t)(k <= whole ? digits[bits >> (18 - 6 * k) & 63] : '=');
    }
    return length;
}
