// Any bytes as a constraint of this kind.
#include "fuzz/constraint_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return mistral::fuzz::constraint(mistral::Constraint::Kind::kTagged, data, size);
}
