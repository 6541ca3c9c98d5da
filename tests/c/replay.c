/* replay.c: a fuzz target without a fuzzer: reads the files of the folders and paths given.
 *
 * Of each file the target gets the whole, every prefix (of long files a thousand of them) and some hundred copies with
 * flipped bits. With the allocator seam nothing may be left allocated behind any of them.
 */
#include <dirent.h>

#include "fuzz.h"
#include "hostile.h"

#ifdef OBS_ALLOC_TEST
#include "alloc_seam.h"
#endif

enum { FLIPS = 300, PREFIXES = 1000, NAME_ROOM = 4096, FILE_BYTES_MAX = 1 << 20 };

static size_t file_count;

static int target(const uint8_t *bytes, size_t size)
{
    CHECK_EQ(LLVMFuzzerTestOneInput(bytes, size), 0);
#ifdef OBS_ALLOC_TEST
    CHECK_EQ(obs_alloc_live(), 0);
#endif
    return OBS_OK;
}

static void replay_bytes(const uint8_t *bytes, size_t size)
{
    hostile_read_copy(target, bytes, size);
    if (size == 0)
        return;
    size_t step = 1 + size / PREFIXES;
    for (size_t prefix = 0; prefix < size; prefix += step)
        hostile_read_copy(target, bytes, prefix);
    hostile_flips(target, bytes, size, FLIPS, size);
}

static void replay_file(const char *path)
{
    static uint8_t bytes[FILE_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    CHECK(ferror(file) == 0 && size < sizeof bytes);
    fclose(file);
    printf("%s: %zu bytes\n", path, size);
    fflush(stdout);
    replay_bytes(bytes, size);
    file_count++;
}

static void replay(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        replay_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char inside[NAME_ROOM];
        if (entry->d_name[0] == '.')
            continue;
        CHECK(snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name) < (int)sizeof inside);
        replay_file(inside);
    }
    closedir(folder);
}

int main(int count, char **paths)
{
    for (int index = 1; index < count; index++)
        replay(paths[index]);
    CHECK(file_count > 0);
    return 0;
}
