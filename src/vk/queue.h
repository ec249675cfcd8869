/* Submissions to the device's one queue, in order. Each batch has a ticket; polling a ticket never blocks. */
#ifndef GSAI_QUEUE_H
#define GSAI_QUEUE_H

#include "vk/device.h"

typedef uint64_t gsai_ticket; /* 0 = nothing, always done */

/* Submit n command buffers, each as a submission of its own (watchdogs count per submission), one fence at the end.
 * BUSY when GSAI_MAX_IN_FLIGHT batches are unfinished. The host's queue lock is held around each vkQueueSubmit only.
 * On failure *ticket is 0 and none of the buffers is in flight any more. Any thread. */
#define GSAI_MAX_IN_FLIGHT 64
gsa_status gsai_queue_submit(gsa_device *dev, const VkCommandBuffer *buffers, uint32_t n, gsai_ticket *ticket);
gsa_status gsai_queue_poll(gsa_device *dev, gsai_ticket ticket); /* OK, NOT_READY, DEVICE_LOST */
/* As poll, after at most timeout_ns (UINT64_MAX: until done or lost; a loss seen by any thread ends the wait). */
gsa_status gsai_queue_wait(gsa_device *dev, gsai_ticket ticket, uint64_t timeout_ns);
gsa_status gsai_queue_wait_idle(gsa_device *dev); /* all tickets so far */

gsa_status gsai_queue_create(gsa_device *dev);
void gsai_queue_destroy(gsa_device *dev); /* nothing in flight, or the device is lost */

#endif
