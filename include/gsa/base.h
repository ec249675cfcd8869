/* gsa/base.h: status codes, version, export macro, log, host-memory and file callbacks.
 * Every other public header includes this one. */
#ifndef GSA_BASE_H
#define GSA_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GSA_VERSION_MAJOR 0
#define GSA_VERSION_MINOR 1
#define GSA_VERSION_PATCH 0

#if defined(_WIN32) && defined(GSA_SHARED)
#ifdef GSA_BUILDING
#define GSA_API __declspec(dllexport)
#else
#define GSA_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define GSA_API __attribute__((visibility("default")))
#else
#define GSA_API
#endif

/* Result of every call that can fail. 0 is success, positive values are not failures, negative values are.
 * gsa_status_name() gives the name; gsa_error_text() tells people what happened, where, and what to do. */
typedef enum gsa_status {
    GSA_OK = 0,
    GSA_NOT_READY = 1,            /* polled work is still running */
    GSA_ERROR_ARGUMENT = -1,      /* the caller broke a documented rule; nothing changed */
    GSA_ERROR_HOST_MEMORY = -2,   /* the host allocator returned NULL; nothing changed unless documented */
    GSA_ERROR_DEVICE_MEMORY = -3, /* the device has not enough memory, or the given cap would be passed */
    GSA_ERROR_NO_VULKAN = -4,     /* no Vulkan loader, or it refuses to make an instance */
    GSA_ERROR_NO_DEVICE = -5,     /* no device fits the selection */
    GSA_ERROR_DRIVER = -6,        /* an unexpected VkResult; the text names the call */
    GSA_ERROR_DEVICE_LOST = -7,   /* sticky: everything on this device can only be destroyed */
    GSA_ERROR_FILE = -8,          /* the file system refused: absent, unreadable, short write */
    GSA_ERROR_FORMAT = -9,        /* a file breaks the rules of its format */
    GSA_ERROR_UNSUPPORTED = -10,  /* well formed, but something this library does not do; the text names it */
    GSA_ERROR_MISMATCH = -11,     /* state or snapshot of another model */
    GSA_ERROR_BUSY = -12,         /* earlier work must be collected or destroyed first */
    GSA_ERROR_LIMIT = -13,        /* a limit set at creation is reached, e.g. no free state slot */
    GSA_ERROR_CANCELLED = -14     /* a progress callback said stop; everything was freed */
} gsa_status;

/* Name of a status, e.g. "GSA_ERROR_FORMAT". Static text, never NULL. Immediate; any thread. */
GSA_API const char *gsa_status_name(gsa_status status);

/* One line for people about the last failure on the calling thread: what, where, what to do. Never NULL; "" before
 * the first failure. Valid until the thread's next failing call. Immediate. */
GSA_API const char *gsa_error_text(void);

/* Version of the library in use, as GSA_VERSION_MAJOR * 10000 + MINOR * 100 + PATCH. Immediate; any thread. */
GSA_API uint32_t gsa_version(void);

typedef enum gsa_log_level {
    GSA_LOG_ERROR = 0,
    GSA_LOG_WARNING = 1,
    GSA_LOG_INFO = 2,
    GSA_LOG_DEBUG = 3
} gsa_log_level;

/* Where messages go. message is one line without a newline, valid during the call only. May be called on any thread
 * that calls into the library. A zeroed struct is silent. The callback must not call the library. */
typedef struct gsa_log {
    void (*message)(void *user, gsa_log_level level, const char *text);
    void *user;
    gsa_log_level level; /* most detailed level wanted */
} gsa_log;

/* Host memory. All three functions or none; alignment as malloc's. A zeroed struct means malloc and friends.
 * The callbacks must be callable from any thread that calls into the library. Memory used inside the JSON
 * parser while a file is read is not routed through them. */
typedef struct gsa_allocator {
    void *(*alloc)(void *user, size_t size);
    void *(*realloc)(void *user, void *memory, size_t size); /* memory may be NULL */
    void (*free)(void *user, void *memory);                  /* memory may be NULL */
    void *user;
} gsa_allocator;

/* Called now and then during long work with the fraction done (0..1) and what is being done.
 * Return false to cancel: the call then frees everything it made and returns GSA_ERROR_CANCELLED. */
typedef bool (*gsa_progress)(void *user, double fraction, const char *what);

/* A file that is not on the file system: in memory, or inside a host's own archive. Give data, or read; a zeroed struct
 * with neither is an empty file. The struct itself is copied and needs to live for the call only; what it points to must
 * stay valid and unchanged for as long as the call that takes it says. Nothing here is freed by the library. */
typedef struct gsa_source {
    const char *name; /* for messages, copied; NULL = "memory block" or "read callback" */
    const void *data; /* [size] bytes at any alignment; NULL = through read */
    uint64_t size;    /* bytes of the whole file */
    /* Write bytes [offset, offset + size) of the file to dst; always inside the file, size is not 0. Return false when
     * that fails: the library's call then returns GSA_ERROR_FILE. Called on the thread that called the library or on
     * one of the library's, never on two at once. It may block, and must not call the library. */
    bool (*read)(void *user, uint64_t offset, size_t size, void *dst);
    void *user;
} gsa_source;

#ifdef __cplusplus
}
#endif

#endif
