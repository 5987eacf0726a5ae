#include "engine/prefix_tree.h"

#include <algorithm>

namespace mistral::engine {
namespace {

// The finaliser of splitmix64.
std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31U);
}

std::uint64_t hash_of(const PrefixNode* parent, std::span<const std::int64_t> content) {
  std::uint64_t hash = parent == nullptr ? 0 : parent->hash;
  for (const std::int64_t value : content) hash = mixed(hash ^ static_cast<std::uint64_t>(value));
  return hash;
}

}  // namespace

PrefixNode* PrefixTree::root(std::uint64_t salt) {
  const std::int64_t content[] = {static_cast<std::int64_t>(salt)};
  PrefixNode* node = child(nullptr, content);
  use(*node);
  return node;
}

PrefixNode* PrefixTree::find(PrefixNode* parent, std::span<const std::int64_t> content) const {
  const auto [first, last] = nodes_.equal_range(hash_of(parent, content));
  for (auto it = first; it != last; ++it) {
    PrefixNode* node = it->second.get();
    if (node->parent == parent && std::ranges::equal(node->content, content)) return node;
  }
  return nullptr;
}

PrefixNode* PrefixTree::child(PrefixNode* parent, std::span<const std::int64_t> content) {
  if (PrefixNode* node = find(parent, content)) return node;
  return insert(parent, hash_of(parent, content), content);
}

PrefixNode* PrefixTree::insert(PrefixNode* parent, std::uint64_t hash,
                               std::span<const std::int64_t> content) {
  auto node = std::make_unique<PrefixNode>();
  node->parent = parent;
  node->depth = parent == nullptr ? 0 : parent->depth + 1;
  node->blocks.assign(groups_, nn::kNoBlock);
  node->hash = hash;
  node->content.assign(content.begin(), content.end());
  PrefixNode* const made = nodes_.emplace(hash, std::move(node))->second.get();
  if (parent != nullptr) ++parent->children;
  return made;
}

void PrefixTree::hold(PrefixNode& node, std::size_t group, nn::BlockId block) noexcept {
  node.blocks[group] = block;
  ++node.holding;
}

void PrefixTree::drop(PrefixNode& node, std::size_t group) noexcept {
  node.blocks[group] = nn::kNoBlock;
  --node.holding;
  prune(&node);
}

void PrefixTree::leave(PrefixNode& node) noexcept {
  --node.users;
  prune(&node);
}

void PrefixTree::prune(PrefixNode* node) noexcept {
  while (node != nullptr && node->users == 0 && node->children == 0 && node->holding == 0) {
    PrefixNode* const parent = node->parent;
    const auto [first, last] = nodes_.equal_range(node->hash);
    for (auto it = first; it != last; ++it) {
      if (it->second.get() != node) continue;
      nodes_.erase(it);
      break;
    }
    if (parent != nullptr) --parent->children;
    node = parent;
  }
}

}  // namespace mistral::engine
