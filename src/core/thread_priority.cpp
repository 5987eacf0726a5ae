#include "core/thread_priority.h"

#include <sys/resource.h>

namespace mistral {

void lower_thread_priority() {
  // On Linux this is about the calling thread, not the process.
  (void)::setpriority(PRIO_PROCESS, 0, 19);
}

}  // namespace mistral
