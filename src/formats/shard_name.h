// How the shards of a model are told by their names.
#pragma once

#include "core/shard_name.h"

namespace mistral::formats {

using mistral::parse_shard_name;
using mistral::ShardName;

}  // namespace mistral::formats
