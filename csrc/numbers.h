/* numbers.h: arrays of any real number as doubles.
 *
 * A format is an order and a letter of Python's struct module and of the buffer protocol: order '@' is this
 * machine's C, '=' its byte order with standard sizes, '<' and '>' (or '!') are little- and big-endian. Integers
 * beyond 2^53 are rounded as a cast to double rounds them.
 */
#ifndef OBS_NUMBERS_H
#define OBS_NUMBERS_H

#include "obs.h"

/* Bytes of one item; 0 if this is no format of a real number. */
size_t obs_numbers_size(char order, char letter);
/* The format has a size; source may be unaligned. */
void obs_numbers_read(char order, char letter, const void *source, size_t count, double *out);

#endif
