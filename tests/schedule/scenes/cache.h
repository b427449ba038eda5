/*
 * The scenes of cache.c.
 */
#ifndef SCHEDULE_SCENES_CACHE_H
#define SCHEDULE_SCENES_CACHE_H

void scene_burst(void);
void scene_any_time(void);
void scene_cancel(void);
void scene_failures(void);
void scene_expiry(void);
void scene_clear(void);
void scene_refresh(void);
void scene_unlike(void);
void scene_cleanup(void);
void scene_overdue(void);
void scene_no_memory(void);
void scene_no_thread(void);

#endif
