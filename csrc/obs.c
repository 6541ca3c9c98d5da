#include "obs.h"

const char *obs_strerror(int status)
{
    switch (status) {
    case OBS_OK:
        return "success";
    case OBS_ERR_NOMEM:
        return "out of memory";
    case OBS_ERR_RANGE:
        return "argument out of range";
    case OBS_ERR_CORRUPT:
        return "corrupt or foreign bytes";
    case OBS_ERR_VERSION:
        return "format version not supported";
    case OBS_ERR_FULL:
        return "no room left";
    case OBS_ERR_SYSTEM:
        return "system call failed";
    case OBS_ERR_STATE:
        return "not allowed in this state";
    default:
        return "unknown status";
    }
}
