/*
 * The scenes of wakers.c.
 */
#ifndef SCHEDULE_SCENES_WAKERS_H
#define SCHEDULE_SCENES_WAKERS_H

void scene_waker(void);
void scene_timers(void);

#endif
