/* What a device tells people about itself: name and value lines, made once when it is opened. */
#ifndef GSAI_FACTS_H
#define GSAI_FACTS_H

#include "vk/device.h"

gsa_status gsai_facts_create(gsa_device *dev);
void gsai_facts_destroy(gsa_device *dev);

#endif
