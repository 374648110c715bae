#pragma once
/// What Linux offers and Swift's Glibc module does not show; one header a topic, included here.
#include "crc32c.h"
#include "data_path.h"
#include "epoll.h"
#include "errno_name.h"
#include "netlink.h"
#include "process.h"
#include "signals.h"
#include "sockets.h"
#include "threads.h"
