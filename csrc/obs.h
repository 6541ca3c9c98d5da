/* obs.h: status codes shared by every kernel.
 *
 * Every function that can fail returns OBS_OK or one of the negative codes below and leaves its
 * outputs untouched on failure, unless its own comment says otherwise. Operating errors are codes;
 * broken invariants are asserts; hostile bytes are OBS_ERR_CORRUPT and never an assert.
 */
#ifndef OBS_H
#define OBS_H

#include <stddef.h>
#include <stdint.h>

#define OBS_OK 0
#define OBS_ERR_NOMEM (-1)   /* the allocator refused */
#define OBS_ERR_RANGE (-2)   /* an argument lies outside its documented range */
#define OBS_ERR_CORRUPT (-3) /* bytes that are not what they claim to be */
#define OBS_ERR_VERSION (-4) /* well-formed, but of a version this build does not read */
#define OBS_ERR_FULL (-5)    /* a budget, a ring or the caller's buffer is full */
#define OBS_ERR_SYSTEM (-6)  /* a system call failed; errno says which way */
#define OBS_ERR_STATE (-7)   /* called in a state that does not allow it */

#define OBS_MUST_CHECK __attribute__((warn_unused_result))

/* One sentence for a status code; never NULL. */
const char *obs_strerror(int status);

#endif
