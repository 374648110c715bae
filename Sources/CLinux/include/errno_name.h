#pragma once

/// The symbol of an errno value ("ECONNREFUSED"), NULL for one that the C library does not know.
const char *_Nullable linux_errno_name(int number);
/// The C library's words for it in English ("Connection refused"), NULL for one that it does not know.
const char *_Nullable linux_errno_words(int number);
