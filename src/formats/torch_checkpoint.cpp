#include "formats/torch_checkpoint.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "formats/byte_reader.h"
#include "formats/checked.h"
#include "formats/memory_budget.h"
#include "formats/pickle.h"
#include "formats/printable.h"
#include "formats/torch_state.h"
#include "formats/zip_archive.h"

namespace mistral::formats {
namespace {

using Bytes = std::span<const std::byte>;
// The bytes of a storage, at least as many as it is said to have.
using StorageReader = std::function<Bytes(const PickleStorage&)>;

std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::uint64_t size_of(const PickleStorage& storage) {
  const auto bytes = checked_multiply(storage.elements, storage.element->bytes);
  if (!bytes) {
    throw make_error(ErrorKind::kInvalidFile, "storage {} is said to have {} elements",
                     printable(storage.key), storage.elements);
  }
  return *bytes;
}

std::string type_name(const TorchElement& element) {
  return "torch." +
         std::string(element.dtype_name.empty() ? element.storage_name : element.dtype_name);
}

TorchTensor resolve(const Pickle& pickle, const StateEntry& entry, const StorageReader& read,
                    std::uint64_t file_bytes) {
  const PickleTensor& tensor = pickle.tensors[entry.tensor];
  if (!tensor.element->dtype) {
    throw make_error(ErrorKind::kUnsupported, "elements of type {} cannot be read",
                     type_name(*tensor.element));
  }
  TorchTensor out;
  out.name = entry.name;
  out.layout = {*tensor.element->dtype, Shape{tensor.sizes}, tensor.strides, tensor.offset};
  const PickleStorage& storage = pickle.storages[tensor.storage];
  const std::uint64_t size = size_of(storage);
  out.storage = read(storage).first(static_cast<std::size_t>(size));
  out.bytes = check_layout(out.layout, size);
  // Strides of zero repeat elements, so that a short file can describe any amount of data.
  if (out.bytes / 2 > file_bytes) {
    throw make_error(ErrorKind::kInvalidFile,
                     "shape {} with strides {} needs {} bytes, more than twice the {} of the file",
                     to_string(out.layout.shape), to_string(Shape{out.layout.strides}), out.bytes,
                     file_bytes);
  }
  return out;
}

std::vector<TorchTensor> resolve_all(const Pickle& pickle, const StorageReader& read,
                                     std::uint64_t file_bytes) {
  std::vector<TorchTensor> tensors;
  for (const StateEntry& entry : find_state(pickle)) {
    try {
      tensors.push_back(resolve(pickle, entry, read, file_bytes));
    } catch (Error& error) {
      error.add_context("tensor " + printable(entry.name));
      throw;
    }
  }
  return tensors;
}

// The folder inside of the archive, with its slash: the one that holds data.pkl.
std::string archive_folder(const ZipArchive& archive) {
  constexpr std::string_view kPickle = "data.pkl";
  std::optional<std::string> folder;
  for (const ZipEntry& entry : archive.entries()) {
    if (!entry.name.ends_with(kPickle)) continue;
    const std::string_view before = entry.name.substr(0, entry.name.size() - kPickle.size());
    const bool top = before.empty() || before.find('/') == before.size() - 1;
    if (!top) continue;
    if (folder) {
      throw make_error(ErrorKind::kInvalidFile, "the zip archive has both {} and {}; expected one",
                       printable(*folder + std::string(kPickle)), printable(entry.name));
    }
    folder = before;
  }
  if (!folder) {
    throw Error(ErrorKind::kInvalidFile,
                "not a PyTorch checkpoint: a zip archive without data.pkl");
  }
  return *folder;
}

std::vector<TorchTensor> parse_zip(Bytes bytes) {
  const ZipArchive archive(bytes);
  const std::string folder = archive_folder(archive);
  if (archive.find(folder + "byteorder") != nullptr) {
    if (const auto order = as_text(archive.read(folder + "byteorder")); order != "little") {
      throw make_error(ErrorKind::kUnsupported, "byte order {}; expected 'little'",
                       printable(order));
    }
  }
  if (archive.find(folder + "constants.pkl") != nullptr) {
    throw Error(ErrorKind::kUnsupported,
                "a TorchScript program; expected a checkpoint with a state dict");
  }
  const Pickle pickle = read_pickle(archive.read(folder + "data.pkl"), memory_for(bytes));
  const auto read = [&](const PickleStorage& storage) {
    const auto data = archive.read(fmt::format("{}data/{}", folder, storage.key));
    if (size_of(storage) > data.size()) {
      throw make_error(ErrorKind::kInvalidFile,
                       "storage {} is said to have {} bytes, but its record has {}",
                       printable(storage.key), size_of(storage), data.size());
    }
    return data;
  };
  return resolve_all(pickle, read, bytes.size());
}

// 0x1950a86a20f9469cfc6c, the number that the first pickle holds.
constexpr std::string_view kLegacyMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr std::int64_t kLegacyVersion = 1001;
constexpr std::uint64_t kLegacyHeaderMemory = std::uint64_t{1} << 16;

const PickleValue* find_key(const Pickle& pickle, std::string_view key) {
  if (pickle.root.kind != PickleKind::kDict) return nullptr;
  const auto& items = pickle.items(pickle.root);
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i].kind == PickleKind::kText && pickle.text(items[i]) == key) return &items[i + 1];
  }
  return nullptr;
}

void check_legacy_magic(const Pickle& magic) {
  if (magic.root.kind != PickleKind::kBigInt || magic.text(magic.root) != kLegacyMagic) {
    throw Error(ErrorKind::kInvalidFile,
                "not a PyTorch checkpoint: a pickle without the number that torch.save writes");
  }
}

void check_legacy_header(const Pickle& version, const Pickle& system) {
  if (version.root.kind != PickleKind::kInt || version.root.number != kLegacyVersion) {
    throw make_error(ErrorKind::kUnsupported,
                     "a checkpoint in the form before PyTorch 1.6, but not of version {}",
                     kLegacyVersion);
  }
  const PickleValue* little = find_key(system, "little_endian");
  if (little == nullptr || little->kind != PickleKind::kBool) {
    throw Error(ErrorKind::kInvalidFile, "the checkpoint does not say in which order bytes stand");
  }
  if (little->number == 0) {
    throw Error(ErrorKind::kUnsupported, "byte order 'big'; expected 'little'");
  }
}

// After the pickles: for each key of the last one the number of elements, and the elements.
std::unordered_map<std::string_view, Bytes> legacy_storages(const Pickle& root, const Pickle& keys,
                                                            ByteReader& reader) {
  std::unordered_map<std::string_view, const PickleStorage*> known;
  for (const PickleStorage& storage : root.storages) {
    const PickleStorage& first = *known.emplace(storage.key, &storage).first->second;
    if (first.element != storage.element || first.elements != storage.elements) {
      throw make_error(ErrorKind::kInvalidFile, "storage {} has two types or lengths",
                       printable(storage.key));
    }
  }
  if (keys.root.kind != PickleKind::kList) {
    throw make_error(ErrorKind::kInvalidFile, "the keys of the storages are {}; expected a list",
                     name(keys.root.kind));
  }
  std::unordered_map<std::string_view, Bytes> storages;
  for (const PickleValue& key : keys.items(keys.root)) {
    if (key.kind != PickleKind::kText) {
      throw make_error(ErrorKind::kInvalidFile, "the key of a storage is {}; expected a string",
                       name(key.kind));
    }
    const auto entry = known.find(keys.text(key));
    if (entry == known.end()) {
      throw make_error(ErrorKind::kInvalidFile, "storage {} belongs to no tensor",
                       printable(keys.text(key)));
    }
    const PickleStorage& storage = *entry->second;
    const std::string what = "storage " + printable(storage.key);
    if (const auto elements = reader.number<std::uint64_t>(what); elements != storage.elements) {
      throw make_error(ErrorKind::kInvalidFile, "{} has {} elements; expected {}", what, elements,
                       storage.elements);
    }
    if (!storages.emplace(storage.key, reader.take(size_of(storage), what)).second) {
      throw make_error(ErrorKind::kInvalidFile, "{} occurs twice", what);
    }
  }
  return storages;
}

std::vector<TorchTensor> parse_legacy(Bytes bytes) {
  Bytes rest = bytes;
  const auto next = [&](std::uint64_t memory) {
    Pickle pickle = read_pickle(rest, memory);
    rest = rest.subspan(pickle.end);
    return pickle;
  };
  check_legacy_magic(next(kLegacyHeaderMemory));
  const Pickle version = next(kLegacyHeaderMemory);
  const Pickle system = next(kLegacyHeaderMemory);
  check_legacy_header(version, system);
  const Pickle root = next(memory_for(bytes));
  const Pickle keys = next(memory_for(bytes));
  ByteReader reader(rest);
  const auto storages = legacy_storages(root, keys, reader);
  const auto read = [&](const PickleStorage& storage) {
    const auto entry = storages.find(storage.key);
    if (entry == storages.end()) {
      throw make_error(ErrorKind::kNotFound, "storage {} is not in the file",
                       printable(storage.key));
    }
    return entry->second;
  };
  return resolve_all(root, read, bytes.size());
}

}  // namespace

std::vector<TorchTensor> parse_torch(Bytes bytes) {
  constexpr std::string_view kZip = "PK\x03\x04";
  constexpr std::string_view kPickle = "\x80";
  constexpr std::size_t kTarMagic = 257;
  const std::string_view text = as_text(bytes);
  if (text.starts_with(kZip)) return parse_zip(bytes);
  if (text.starts_with(kPickle)) return parse_legacy(bytes);
  if (text.size() > kTarMagic && text.substr(kTarMagic).starts_with("ustar")) {
    throw Error(
        ErrorKind::kUnsupported,
        "a tar archive, as PyTorch before 0.1.10 wrote it; save the file again with a later "
        "version");
  }
  throw make_error(ErrorKind::kInvalidFile,
                   "not a PyTorch checkpoint: begins with {}; expected a zip archive or a pickle",
                   printable(text.substr(0, 8)));
}

}  // namespace mistral::formats
