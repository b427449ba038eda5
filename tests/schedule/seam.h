/*
 * What scenes can ask of the seam, beside what the library asks.
 */
#ifndef SCHEDULE_SEAM_H
#define SCHEDULE_SEAM_H

#include <stdint.h>

/* From now on so many of a thousand starts of threads of the library fail. */
void seam_threads_fail(uint32_t permille);

#endif
