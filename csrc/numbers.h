/* numbers.h: arrays of any native number as doubles.
 *
 * A format is one letter of Python's struct module and of the buffer protocol; integers beyond 2^53 are rounded
 * as a cast to double rounds them.
 */
#ifndef OBS_NUMBERS_H
#define OBS_NUMBERS_H

#include <stdbool.h>

#include "obs.h"

/* Bytes of one item; 0 if the letter is no real number. standard: the sizes of the prefixes = < >, not of this
 * machine's C. */
size_t obs_numbers_size(char format, bool standard);
/* format has a size; source may be unaligned. */
void obs_numbers_read(char format, bool standard, const void *source, size_t count, double *out);

#endif
