/* Error reporting inside the library: one status for programs, one line per thread for people. */
#ifndef GSAI_STATUS_H
#define GSAI_STATUS_H

#include "gsa/base.h"

#if defined(__GNUC__)
#define GSAI_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define GSAI_PRINTF(fmt, args)
#endif

/* Set the calling thread's error text and return status, so that a failure is one statement:
 *     return gsai_fail(GSA_ERROR_FORMAT, "%s: header claims %llu bytes, file has %llu", path, claimed, size); */
gsa_status gsai_fail(gsa_status status, const char *format, ...) GSAI_PRINTF(2, 3);

/* Put "format: " before the text of the failure that just happened (adds the file or tensor a callee did not know). */
gsa_status gsai_fail_in(gsa_status status, const char *format, ...) GSAI_PRINTF(2, 3);

void gsai_log(const gsa_log *log, gsa_log_level level, const char *format, ...) GSAI_PRINTF(3, 4);

#endif
