/* A stand-in for the driver's libnvidia-ml.so.1. What it says is in the file that FAKE_NVML names, read anew at every
 * question, so that a test changes GPUs while an agent reads them. A line is a device, a word and its values:
 *
 *   init 18                              nvmlInit returns this code
 *   gpus 2                               so many GPUs
 *   0.memory 1000 400 600                total, free and used bytes of GPU 0
 *   0.process 4711 256 20                pid, bytes, percent of the time; any number of lines
 *   0.mig 2                              its MIG instances are the devices 0:0 and 0:1
 *   0.code 15                            every question to GPU 0 returns this code
 *   0.nvmlDeviceGetPowerUsage 999        this question alone
 *   0.hang nvmlDeviceGetPowerUsage       this question never returns
 *
 * The other words stand with their functions below. A device does not support what it has no line for. Every question
 * is noted, with its device, in the file that FAKE_NVML_CALLS names, and `loaded -` when the library is.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define LINE_BYTES 256
#define GPUS_MAX 4
#define INSTANCES_MAX 7

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7 };

typedef int status_t;
typedef struct {
    char name[8];
} device_t;
typedef struct {
    unsigned pid;
    unsigned long long used_bytes;
    unsigned gpu_instance, compute_instance;
} process_t;
typedef struct {
    unsigned pid;
    unsigned long long time_us;
    unsigned sm, memory, encoder, decoder;
} sample_t;
typedef struct {
    unsigned field, scope;
    long long time, latency;
    unsigned kind, status;
    union {
        double as_double;
        unsigned long long as_count;
    } value;
} field_t;

static device_t devices[GPUS_MAX][1 + INSTANCES_MAX];
static int open_count;

/* The values of the n-th line of a device's word; NULL if there is none. `line` is their memory. */
static const char *values_of(const char *device, const char *word, int nth, char line[LINE_BYTES])
{
    char key[LINE_BYTES];
    snprintf(key, sizeof key, "%s%s%s ", device, *device ? "." : "", word);
    const char *path = getenv("FAKE_NVML");
    FILE *file = path ? fopen(path, "r") : NULL;
    const char *found = NULL;
    while (file && !found && fgets(line, LINE_BYTES, file)) {
        if (!strncmp(line, key, strlen(key)) && nth-- == 0) {
            found = line + strlen(key);
        }
    }
    if (file) {
        fclose(file);
    }
    return found;
}

/* The value in a place of a device's only line of a word; 0 if there is none. */
static int read_value(const char *device, const char *word, int place, unsigned long long *value)
{
    char line[LINE_BYTES];
    const char *at = values_of(device, word, 0, line);
    for (; at && place > 0; place--) {
        at = strchr(at, ' ');
        at = at ? at + 1 : NULL;
    }
    return at && sscanf(at, "%llu", value) == 1;
}

static unsigned long long value_or(const char *device, const char *word, unsigned long long otherwise)
{
    unsigned long long value;
    return read_value(device, word, 0, &value) ? value : otherwise;
}

static void note(const char *what, const char *device)
{
    const char *path = getenv("FAKE_NVML_CALLS");
    FILE *file = path ? fopen(path, "a") : NULL;
    if (file) {
        fprintf(file, "%s %s\n", what, device);
        fclose(file);
    }
}

__attribute__((constructor)) static void note_load(void)
{
    note("loaded", "-");
}

/* Notes the question; the code with which it is to fail, or success. */
static status_t asked(const char *function, const device_t *device)
{
    note(function, device ? device->name : "-");
    if (!open_count) {
        return UNINITIALIZED;
    }
    const char *name = device ? device->name : "";
    char line[LINE_BYTES];
    const char *hangs = values_of(name, "hang", 0, line);
    while (hangs && !strncmp(hangs, function, strlen(function))) {
        pause();
    }
    return (status_t)value_or(name, function, value_or(name, "code", SUCCESS));
}

/* One value of a word as an answer. */
static status_t answer(const char *function, const device_t *device, const char *word, int place, unsigned *value)
{
    unsigned long long found;
    status_t status = asked(function, device);
    if (status) {
        return status;
    }
    if (!read_value(device->name, word, place, &found)) {
        return NOT_SUPPORTED;
    }
    *value = (unsigned)found;
    return SUCCESS;
}

EXPORT status_t nvmlInitWithFlags(unsigned flags)
{
    (void)flags;
    status_t status = (status_t)value_or("", "init", SUCCESS);
    open_count += status == SUCCESS;
    return status;
}

EXPORT status_t nvmlShutdown(void)
{
    open_count -= open_count > 0;
    return SUCCESS;
}

EXPORT const char *nvmlErrorString(status_t status)
{
    (void)status;
    return "An error of the fake";
}

EXPORT status_t nvmlDeviceGetCount_v2(unsigned *count)
{
    *count = (unsigned)value_or("", "gpus", 0);
    return asked("nvmlDeviceGetCount_v2", NULL);
}

EXPORT status_t nvmlDeviceGetHandleByIndex_v2(unsigned index, device_t **device)
{
    if (index >= GPUS_MAX) {
        return INVALID_ARGUMENT;
    }
    *device = &devices[index][0];
    snprintf((*device)->name, sizeof(*device)->name, "%u", index);
    return asked("nvmlDeviceGetHandleByIndex_v2", *device);
}

EXPORT status_t nvmlDeviceGetUUID(device_t *device, char *uuid, unsigned size)
{
    snprintf(uuid, size, "%s-fake-%s", strchr(device->name, ':') ? "MIG" : "GPU", device->name);
    return asked("nvmlDeviceGetUUID", device);
}

EXPORT status_t nvmlDeviceGetName(device_t *device, char *name, unsigned size)
{
    snprintf(name, size, "NVIDIA Fake 100%s", strchr(device->name, ':') ? " MIG 1g.10gb" : "");
    return asked("nvmlDeviceGetName", device);
}

EXPORT status_t nvmlDeviceGetUtilizationRates(device_t *device, unsigned rates[2])
{
    status_t status = answer("nvmlDeviceGetUtilizationRates", device, "utilization", 0, &rates[0]);
    return status ? status : answer("nvmlDeviceGetUtilizationRates", device, "utilization", 1, &rates[1]);
}

EXPORT status_t nvmlDeviceGetEncoderUtilization(device_t *device, unsigned *percent, unsigned *period_us)
{
    *period_us = 167000;
    return answer("nvmlDeviceGetEncoderUtilization", device, "encoder", 0, percent);
}

EXPORT status_t nvmlDeviceGetDecoderUtilization(device_t *device, unsigned *percent, unsigned *period_us)
{
    *period_us = 167000;
    return answer("nvmlDeviceGetDecoderUtilization", device, "decoder", 0, percent);
}

EXPORT status_t nvmlDeviceGetPowerUsage(device_t *device, unsigned *milliwatts)
{
    return answer("nvmlDeviceGetPowerUsage", device, "power", 0, milliwatts);
}

EXPORT status_t nvmlDeviceGetEnforcedPowerLimit(device_t *device, unsigned *milliwatts)
{
    return answer("nvmlDeviceGetEnforcedPowerLimit", device, "power_limit", 0, milliwatts);
}

EXPORT status_t nvmlDeviceGetTotalEnergyConsumption(device_t *device, unsigned long long *millijoules)
{
    status_t status = asked("nvmlDeviceGetTotalEnergyConsumption", device);
    return status ? status : read_value(device->name, "energy", 0, millijoules) ? SUCCESS : NOT_SUPPORTED;
}

EXPORT status_t nvmlDeviceGetTemperature(device_t *device, unsigned sensor, unsigned *celsius)
{
    return answer("nvmlDeviceGetTemperature", device, "temperature", (int)sensor, celsius);
}

EXPORT status_t nvmlDeviceGetTemperatureThreshold(device_t *device, unsigned threshold, unsigned *celsius)
{
    return answer("nvmlDeviceGetTemperatureThreshold", device, "thresholds", (int)threshold, celsius);
}

EXPORT status_t nvmlDeviceGetClockInfo(device_t *device, unsigned clock, unsigned *mhz)
{
    return answer("nvmlDeviceGetClockInfo", device, "clocks", (int)clock, mhz);
}

EXPORT status_t nvmlDeviceGetMaxClockInfo(device_t *device, unsigned clock, unsigned *mhz)
{
    return answer("nvmlDeviceGetMaxClockInfo", device, "clocks_max", (int)clock, mhz);
}

EXPORT status_t nvmlDeviceGetCurrentClocksThrottleReasons(device_t *device, unsigned long long *reasons)
{
    status_t status = asked("nvmlDeviceGetCurrentClocksThrottleReasons", device);
    return status ? status : read_value(device->name, "reasons", 0, reasons) ? SUCCESS : NOT_SUPPORTED;
}

/* `violations` has the nanoseconds of each policy. */
EXPORT status_t nvmlDeviceGetViolationStatus(device_t *device, unsigned policy, unsigned long long time[2])
{
    status_t status = asked("nvmlDeviceGetViolationStatus", device);
    return status ? status : read_value(device->name, "violations", (int)policy, &time[1]) ? SUCCESS : NOT_SUPPORTED;
}

/* `ecc` has corrected and uncorrected errors since the driver was loaded, then both in all. */
EXPORT status_t nvmlDeviceGetTotalEccErrors(device_t *device, unsigned type, unsigned counter,
                                            unsigned long long *count)
{
    status_t status = asked("nvmlDeviceGetTotalEccErrors", device);
    int place = (int)(2 * counter + type);
    return status ? status : read_value(device->name, "ecc", place, count) ? SUCCESS : NOT_SUPPORTED;
}

EXPORT status_t nvmlDeviceGetPcieThroughput(device_t *device, unsigned direction, unsigned *kilobytes)
{
    return answer("nvmlDeviceGetPcieThroughput", device, "pcie", (int)direction, kilobytes);
}

EXPORT status_t nvmlDeviceGetPcieReplayCounter(device_t *device, unsigned *replays)
{
    return answer("nvmlDeviceGetPcieReplayCounter", device, "replays", 0, replays);
}

/* `field82 61` is field 82, an unsigned long long (3); others are not supported. */
EXPORT status_t nvmlDeviceGetFieldValues(device_t *device, int count, field_t *fields)
{
    status_t status = asked("nvmlDeviceGetFieldValues", device);
    for (int i = 0; !status && i < count; i++) {
        char word[32];
        snprintf(word, sizeof word, "field%u", fields[i].field);
        fields[i].kind = 3;
        fields[i].status = read_value(device->name, word, 0, &fields[i].value.as_count) ? SUCCESS : NOT_SUPPORTED;
    }
    return status;
}

EXPORT status_t nvmlDeviceGetMigMode(device_t *device, unsigned *current, unsigned *pending)
{
    *current = *pending = value_or(device->name, "mig", 0) > 0;
    return asked("nvmlDeviceGetMigMode", device);
}

EXPORT status_t nvmlDeviceGetMaxMigDeviceCount(device_t *device, unsigned *count)
{
    *count = INSTANCES_MAX;
    return asked("nvmlDeviceGetMaxMigDeviceCount", device);
}

EXPORT status_t nvmlDeviceGetMigDeviceHandleByIndex(device_t *device, unsigned index, device_t **instance)
{
    if (index >= value_or(device->name, "mig", 0)) {
        return NOT_FOUND;
    }
    *instance = device + 1 + index;
    snprintf((*instance)->name, sizeof(*instance)->name, "%.3s:%u", device->name, index % 10);
    return asked("nvmlDeviceGetMigDeviceHandleByIndex", device);
}

EXPORT status_t nvmlDeviceGetGpuInstanceId(device_t *device, unsigned *id)
{
    *id = (unsigned)atoi(strchr(device->name, ':') + 1) + 7;
    return asked("nvmlDeviceGetGpuInstanceId", device);
}

EXPORT status_t nvmlDeviceGetComputeInstanceId(device_t *device, unsigned *id)
{
    *id = 0;
    return asked("nvmlDeviceGetComputeInstanceId", device);
}

EXPORT status_t nvmlDeviceGetMemoryInfo(device_t *device, unsigned long long bytes[3])
{
    status_t status = asked("nvmlDeviceGetMemoryInfo", device);
    for (int place = 0; !status && place < 3; place++) {
        status = read_value(device->name, "memory", place, &bytes[place]) ? SUCCESS : NOT_SUPPORTED;
    }
    return status;
}

/* The processes of a word; `bytes -` is memory that is not known. */
static status_t list_processes(const device_t *device, const char *word, unsigned *count, process_t *processes)
{
    char line[LINE_BYTES];
    unsigned known = 0;
    for (const char *values; (values = values_of(device->name, word, (int)known, line)); known++) {
        if (processes && known < *count) {
            process_t *process = &processes[known];
            *process = (process_t){.used_bytes = ~0ULL, .gpu_instance = ~0U, .compute_instance = ~0U};
            sscanf(values, "%u %llu", &process->pid, &process->used_bytes);
        }
    }
    status_t status = known > *count ? INSUFFICIENT_SIZE : SUCCESS;
    *count = known;
    return status;
}

EXPORT status_t nvmlDeviceGetComputeRunningProcesses_v3(device_t *device, unsigned *count, process_t *processes)
{
    status_t status = asked("nvmlDeviceGetComputeRunningProcesses_v3", device);
    return status ? status : list_processes(device, "process", count, processes);
}

EXPORT status_t nvmlDeviceGetComputeRunningProcesses_v2(device_t *device, unsigned *count, process_t *processes)
{
    status_t status = asked("nvmlDeviceGetComputeRunningProcesses_v2", device);
    return status ? status : list_processes(device, "process", count, processes);
}

EXPORT status_t nvmlDeviceGetGraphicsRunningProcesses_v3(device_t *device, unsigned *count, process_t *processes)
{
    status_t status = asked("nvmlDeviceGetGraphicsRunningProcesses_v3", device);
    return status ? status : list_processes(device, "graphics", count, processes);
}

/* A sample a process that has a percentage, as if it had just been taken. */
EXPORT status_t nvmlDeviceGetProcessUtilization(device_t *device, sample_t *samples, unsigned *count,
                                                unsigned long long since_us)
{
    status_t status = asked("nvmlDeviceGetProcessUtilization", device);
    char line[LINE_BYTES];
    unsigned known = 0;
    int nth = 0;
    for (const char *values; !status && (values = values_of(device->name, "process", nth, line)); nth++) {
        sample_t sample = {.time_us = since_us + 1};
        if (sscanf(values, "%u %*s %u", &sample.pid, &sample.sm) == 2) {
            if (samples && known < *count) {
                samples[known] = sample;
            }
            known++;
        }
    }
    if (!status) {
        status = !nth ? NOT_SUPPORTED : !known ? NOT_FOUND : known > *count ? INSUFFICIENT_SIZE : SUCCESS;
        *count = known;
    }
    return status;
}
