// The form of log lines for programs that read them.
#pragma once

namespace mistral::log {

// From now on each line is an object: {"time": …, "level": …, "message": …}. Comes behind
// set_level().
void use_json();

}  // namespace mistral::log
