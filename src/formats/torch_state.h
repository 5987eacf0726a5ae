// Which of the tensors in a checkpoint are the weights of the model, and what they are called.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "formats/pickle_value.h"

namespace mistral::formats {

struct StateEntry {
  std::string name;
  std::size_t tensor = 0;  // index into Pickle::tensors
};

// The tensors of the state dict: the root itself, or a dict inside of it that is called
// "state_dict", "model" or the like, or that is the only one with tensors. Entries that are no
// tensors are left out, and prefixes that wrappers of a model add to all names ("module.") are
// removed. Throws Error (kInvalidFile) when there is no state dict, or more than one.
[[nodiscard]] std::vector<StateEntry> find_state(const Pickle& pickle);

}  // namespace mistral::formats
