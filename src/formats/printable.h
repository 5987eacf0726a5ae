// How parsers name what they found in a file.
#pragma once

#include "core/printable.h"

namespace mistral::formats {

using mistral::printable;

}  // namespace mistral::formats
