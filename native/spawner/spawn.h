#pragma once

/*
 * Serves one connection of a supervisor, in a process of its own: makes the box that is asked for and sees it to its
 * start. Closes nothing: the caller ends afterwards.
 */
void spawn_serve(int fd);
