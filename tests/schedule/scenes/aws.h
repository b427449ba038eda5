/*
 * The scenes of credentials.c and transport.c.
 */
#ifndef SCHEDULE_SCENES_AWS_H
#define SCHEDULE_SCENES_AWS_H

void scene_credentials(void);
void scene_transport(void);

#endif
