// A text cut into pieces, on its way from the normaliser to the model. A piece is text still to
// be encoded, or an added token that was found.
#pragma once

#include <cstddef>
#include <string_view>
#include <utility>
#include <vector>

#include "mistral/types.h"
#include "text/tokenizer/aligned_text.h"

namespace mistral::text {

class Pieces {
 public:
  static constexpr TokenId kText = -1;
  struct Piece {
    std::size_t begin;  // bytes of all(); pieces may overlap when added tokens share blanks
    std::size_t end;
    TokenId token = kText;
  };

  // Tokens that swallowed the same blanks share one copy of them: where the copy of `from` begins.
  struct Sharing {
    Piece from{0, 0};
    std::size_t copy = 0;

    [[nodiscard]] bool covers(const Piece& piece) const {
      return piece.begin >= from.begin && piece.end <= from.end;
    }
    [[nodiscard]] Piece moved(const Piece& piece) const {
      return {piece.begin - from.begin + copy, piece.end - from.begin + copy, piece.token};
    }
  };

  explicit Pieces(AlignedText::Tracking tracking) : text_(tracking) {}
  Pieces(AlignedText text, std::vector<Piece> pieces)
      : text_(std::move(text)), pieces_(std::move(pieces)) {}

  [[nodiscard]] const AlignedText& all() const { return text_; }
  [[nodiscard]] const std::vector<Piece>& list() const { return pieces_; }
  [[nodiscard]] std::string_view text(const Piece& piece) const {
    return std::string_view(text_.text()).substr(piece.begin, piece.end - piece.begin);
  }

  // Cuts each text piece into the ranges that `cut(std::string_view, std::vector<ByteRange>&)`
  // appends; empty ranges are left out.
  template <typename Cut>
  void split(Cut&& cut) {
    std::vector<Piece> finer;
    finer.reserve(pieces_.size() * 2);
    std::vector<ByteRange> ranges;
    for (const Piece& piece : pieces_) {
      if (piece.token != kText) {
        finer.push_back(piece);
        continue;
      }
      ranges.clear();
      cut(text(piece), ranges);
      for (const ByteRange& range : ranges) {
        if (range.end > range.begin) {
          finer.push_back({piece.begin + range.begin, piece.begin + range.end, kText});
        }
      }
    }
    pieces_ = std::move(finer);
  }

  // Replaces the text of each text piece by what `write(const Piece&, AlignedText& out)` appends.
  template <typename Write>
  void rewrite(Write&& write) {
    AlignedText out(text_.tracking());
    out.reserve(text_.text().size() + text_.text().size() / 2);
    Sharing sharing;
    for (Piece& piece : pieces_) {
      const std::size_t begin = out.text().size();
      if (piece.token != kText) {
        if (sharing.covers(piece)) {
          piece = sharing.moved(piece);
          continue;
        }
        sharing = {piece, begin};
        out.append(text_, piece.begin, piece.end);
      } else {
        write(std::as_const(piece), out);
      }
      piece.begin = begin;
      piece.end = out.text().size();
    }
    text_ = std::move(out);
  }

  // Adds a piece of the text that is there already.
  void append(const Piece& piece) { pieces_.push_back(piece); }
  // Adds another text's pieces behind these.
  void append(const AlignedText& text, const std::vector<Piece>& pieces) {
    const std::size_t shift = text_.text().size();
    text_.append(text, 0, text.text().size());
    for (const Piece& piece : pieces) {
      pieces_.push_back({piece.begin + shift, piece.end + shift, piece.token});
    }
  }

 private:
  AlignedText text_;
  std::vector<Piece> pieces_;
};

}  // namespace mistral::text
