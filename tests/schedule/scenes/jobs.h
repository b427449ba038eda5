/*
 * The scene of jobs.c.
 */
#ifndef SCHEDULE_SCENES_JOBS_H
#define SCHEDULE_SCENES_JOBS_H

void scene_jobs(void);

#endif
