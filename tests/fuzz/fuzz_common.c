#include "fuzz.h"

char fuzz_hidden[64];

static void message(void *user, gsa_log_level level, const char *text)
{
    (void)user;
    (void)level;
    for (const char *p = text; *p; p++) FUZZ_CHECK((unsigned char)*p >= 0x20 && *p != 0x7f);
}

gsa_log fuzz_log(void)
{
    return (gsa_log){.message = message, .level = GSA_LOG_DEBUG};
}
