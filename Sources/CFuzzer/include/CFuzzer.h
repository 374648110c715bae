#pragma once
#include <stddef.h>
#include <stdint.h>

/// libFuzzer's main loop, for programs with a main of their own.
int LLVMFuzzerRunDriver(
    int *_Nonnull argc, char *_Nullable *_Nullable *_Nonnull argv,
    int (*_Nonnull test)(const uint8_t *_Nullable bytes, size_t count));
