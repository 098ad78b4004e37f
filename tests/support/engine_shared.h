/* Executables that ask for it run against the Docker engine of DOCKER_HOST, else of the usual socket. Where
 * none answers they end before their first test and ctest says that they were skipped. */
#ifndef TESTS_ENGINE_SHARED_H
#define TESTS_ENGINE_SHARED_H

void engine_shared(void);

#endif
