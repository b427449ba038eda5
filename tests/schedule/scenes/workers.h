/*
 * The scenes of workers.c.
 */
#ifndef SCHEDULE_SCENES_WORKERS_H
#define SCHEDULE_SCENES_WORKERS_H

void scene_blocking(void);
void scene_mixed(void);
void scene_circle(void);

#endif
