/* Strings in JSON: see json.h. Never reads JSON. */
#include "json.h"

#include <inttypes.h>

#include "text.h"

void cli_json_string(FILE *out, struct kf_view text)
{
    putc('"', out);
    for (size_t done = 0, length; done < text.length; done += length) {
        uint32_t character;
        length = cli_text_char(kf_view_of(text.data + done, text.length - done), &character);
        if (length == 0) {
            length = 1;
            fputs("\\ufffd", out);
        } else if (character == '"' || character == '\\') {
            fprintf(out, "\\%c", (int)character);
        } else if (cli_text_is_control(character)) {
            fprintf(out, "\\u%04" PRIx32, character);
        } else {
            fwrite(text.data + done, 1, length, out);
        }
    }
    putc('"', out);
}
