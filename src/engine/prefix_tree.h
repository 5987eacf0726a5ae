// Which cache blocks hold which beginnings of sequences. A tree: an edge is the content of one full
// block, a node stands for everything from its root to it, so what a block holds is known exactly
// and no two contents can be mistaken for each other. A pure object; BlockManager owns it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "nn/batch.h"

namespace mistral::engine {

// A full block after those of its parent. Pointers to it stay valid while it has users, children or
// blocks.
struct PrefixNode {
  PrefixNode* parent = nullptr;
  std::int32_t depth = 0;           // blocks from the root, this one included; a root has 0
  std::int32_t children = 0;        // nodes whose parent this is
  std::int32_t users = 0;           // sequences that stand here
  std::int32_t holding = 0;         // groups that hold a block
  std::vector<nn::BlockId> blocks;  // per cache group, or kNoBlock
  std::uint64_t hash = 0;
  std::vector<std::int64_t> content;
};

class PrefixTree {
 public:
  explicit PrefixTree(std::size_t groups) : groups_(groups) {}

  // The root of sequences that may share with each other; made when it does not exist. Counts a
  // user, as follow() and child() do not.
  PrefixNode* root(std::uint64_t salt);
  // The child of `parent` with that content, or null.
  [[nodiscard]] PrefixNode* find(PrefixNode* parent, std::span<const std::int64_t> content) const;
  // As find(), but makes the child when there is none.
  PrefixNode* child(PrefixNode* parent, std::span<const std::int64_t> content);

  void hold(PrefixNode& node, std::size_t group, nn::BlockId block) noexcept;
  // `group` holds no block for the node any more.
  void drop(PrefixNode& node, std::size_t group) noexcept;
  static void use(PrefixNode& node) noexcept { ++node.users; }
  void leave(PrefixNode& node) noexcept;

  [[nodiscard]] std::size_t size() const { return nodes_.size(); }

 private:
  // Forgets the node and its ancestors as far as nothing keeps them.
  void prune(PrefixNode* node) noexcept;
  PrefixNode* insert(PrefixNode* parent, std::uint64_t hash, std::span<const std::int64_t> content);

  std::size_t groups_;
  std::unordered_multimap<std::uint64_t, std::unique_ptr<PrefixNode>> nodes_;
};

}  // namespace mistral::engine
